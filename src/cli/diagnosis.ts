/** What `doctor` finds out about this machine: a plain object whose shape stays. */
import { existsSync } from "node:fs";
import { cpus } from "node:os";
import { AddonNotFoundError } from "../errors.ts";
import { addon, addonPath, type DeviceInfo } from "../native/binding.ts";
import { type CudaSearch, cudaPluginPath, findCuda } from "../native/cuda.ts";
import { type FoundModel, modelsFound } from "./models-found.ts";

export interface Problem {
  readonly what: string;
  readonly remedy: string;
  /** Nothing runs until it is solved. */
  readonly fatal: boolean;
}

export interface Diagnosis {
  readonly ok: boolean;
  readonly version: string;
  readonly platform: string;
  readonly node: string;
  readonly addon: { readonly path: string; readonly loaded: boolean };
  /** Those of the plug-in below, too. */
  readonly devices: readonly DeviceInfo[];
  /** `problem`: why it gives no device, "" where it does. */
  readonly cuda: { readonly path: string; readonly found: boolean; readonly problem: string };
  readonly models: readonly FoundModel[];
  readonly environment: Readonly<Record<string, string | null>>;
  readonly problems: readonly Problem[];
}

/** Every variable that changes what the program does. */
const variables = [
  "MINICPM_CPU",
  "MINICPM_MODELS",
  "MINICPM_BINARY",
  "MINICPM_CUDA",
  "HF_HOME",
  "HF_HUB_CACHE",
  "XDG_CACHE_HOME",
  "XDG_STATE_HOME",
  "NO_COLOR",
] as const;

const platforms = ["linux-x64"];
const leastNode = [20, 19] as const;

export function diagnose(version: string): Diagnosis {
  const problems: Problem[] = [];
  const platform = `${process.platform}-${process.arch}`;
  checkPlatform(platform, problems);
  const devices = loadDevices(problems);
  const cuda = devices ? findCuda() : { path: cudaPluginPath(), found: false, devices: [], problem: "" };
  checkCuda(cuda, problems);
  const models = modelsFound();
  checkEnvironment(devices, problems);
  if (models.length === 0) {
    const remedy =
      "Fetch a folder such as openbmb/MiniCPM4-0.5B and give its path, or set MINICPM_MODELS to where it is.";
    problems.push({ what: "No model was found.", remedy, fatal: false });
  }
  return {
    ok: !problems.some(({ fatal }) => fatal),
    version,
    platform,
    node: process.versions.node,
    addon: { path: addonPath(), loaded: devices !== undefined },
    devices: [...(devices ?? []), ...cuda.devices],
    cuda: { path: cuda.path, found: cuda.found, problem: cuda.problem },
    models,
    environment: Object.fromEntries(variables.map((name) => [name, process.env[name] ?? null])),
    problems,
  };
}

/** The processor as the operating system names it, where the addon cannot. */
export function processorName(): string {
  return cpus()[0]?.model ?? "unknown processor";
}

function checkPlatform(platform: string, problems: Problem[]): void {
  if (!platforms.includes(platform)) {
    const remedy = `It runs on ${platforms.join(", ")} for now.`;
    problems.push({ what: `${platform} is not supported yet.`, remedy, fatal: false });
  }
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major < leastNode[0] || (major === leastNode[0] && minor < leastNode[1])) {
    const remedy = `Install Node ${leastNode.join(".")} or newer.`;
    problems.push({ what: `Node ${process.versions.node} is too old.`, remedy, fatal: true });
  }
}

function loadDevices(problems: Problem[]): DeviceInfo[] | undefined {
  try {
    return addon().devices();
  } catch (error) {
    const reason = error instanceof AddonNotFoundError ? error.reason : String(error);
    const remedy =
      "Run `npm run build` in a clone of the package (a C++20 compiler, make and python3 are needed); outside the " +
      "clone, set MINICPM_BINARY to the build/Release/minicpm.node that was built there.";
    problems.push({ what: `The native addon does not load: ${reason}.`, remedy, fatal: true });
    return undefined;
  }
}

/** That there is no plug-in is no problem, unless one is asked for. */
function checkCuda({ path, found, problem }: CudaSearch, problems: Problem[]): void {
  if (problem === "" || path === "off" || (!found && !process.env.MINICPM_CUDA)) return;
  const remedy = found
    ? "Models run on the CPU. For CUDA, install the driver of an NVIDIA card, R580 or newer, or build the plug-in again."
    : "Unset MINICPM_CUDA, or name the file that `npm run build:cuda` has made.";
  problems.push({ what: found ? `${path} gives no device: ${problem}` : problem, remedy, fatal: false });
}

function checkEnvironment(devices: readonly DeviceInfo[] | undefined, problems: Problem[]): void {
  const { MINICPM_CPU: isa, MINICPM_MODELS: shelf } = process.env;
  const isas = devices?.find(({ name }) => name === "cpu")?.isas ?? [];
  if (isa && devices && !isas.includes(isa)) {
    const remedy = `Unset it, or take one of: ${isas.join(", ")}.`;
    problems.push({ what: `MINICPM_CPU is "${isa}", which this machine cannot run.`, remedy, fatal: true });
  }
  if (shelf && !existsSync(shelf)) {
    const remedy = "Make that folder, or unset the variable.";
    problems.push({
      what: `MINICPM_MODELS is "${shelf}", and there is no such folder.`,
      remedy,
      fatal: false,
    });
  }
}
