/** The CUDA plug-in: where it is, and what it finds on this machine. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { DeviceError } from "../errors.ts";
import { addon, addonPath, type DeviceInfo } from "./binding.ts";
import { withPublicErrors } from "./error-table.ts";

export interface CudaSearch {
  /** The file looked for; "off" where none is. */
  readonly path: string;
  /** It is there. */
  readonly found: boolean;
  readonly devices: readonly DeviceInfo[];
  /** Why there are none, as a sentence; "" where there are. */
  readonly problem: string;
}

/** MINICPM_CUDA if set ("off": none is looked for), else the file beside the addon. */
export function cudaPluginPath(): string {
  return process.env.MINICPM_CUDA || join(dirname(addonPath()), "minicpm_cuda.so");
}

/** Opens the plug-in, if there is one, and asks it. */
export function findCuda(): CudaSearch {
  const path = cudaPluginPath();
  if (path === "off") return { path, found: false, devices: [], problem: 'MINICPM_CUDA is "off".' };
  if (!existsSync(path)) {
    const problem = `There is no CUDA plug-in (${path}); \`npm run build:cuda\` builds it.`;
    return { path, found: false, devices: [], problem };
  }
  try {
    const devices = withPublicErrors(() => addon().pluginDevices(path));
    return { path, found: true, devices, problem: devices.length > 0 ? "" : "CUDA finds no device." };
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    return { path, found: true, devices: [], problem: error.message };
  }
}
