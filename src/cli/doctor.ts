/** `minicpm doctor`: whether it can run here, and what to do where it cannot. */
import type { Command } from "commander";
import { addOutputOptions, applyOutputOptions, type OutputOptions } from "./command-options.ts";
import { type Diagnosis, diagnose, processorName } from "./diagnosis.ts";
import { exitCodes } from "./failure.ts";
import { escaped } from "./printable.ts";
import { formatBytes } from "./quantities.ts";
import { tableLines } from "./table.ts";
import type { Terminal } from "./terminal.ts";

export function addDoctorCommand(program: Command, terminal: Terminal, version: string): void {
  const command = program
    .command("doctor")
    .summary("check this machine")
    .description(
      "Check platform, addon, processor, memory, models and environment. Exits with 1 if nothing can run.",
    );
  addOutputOptions(command, "one JSON object");
  command.action((options: OutputOptions) => {
    applyOutputOptions(terminal, options);
    const diagnosis = diagnose(version);
    if (options.json) terminal.json(diagnosis);
    else for (const line of diagnosisLines(diagnosis, terminal)) terminal.line(line);
    process.exitCode = diagnosis.ok ? exitCodes.ok : exitCodes.error;
  });
}

function diagnosisLines(diagnosis: Diagnosis, terminal: Terminal): string[] {
  const { answerStyle } = terminal;
  const problems = diagnosis.problems.flatMap(({ what, remedy, fatal }) => [
    `${fatal ? answerStyle.red("problem:") : answerStyle.yellow("notice:")} ${escaped(what)}`,
    `  ${escaped(remedy)}`,
  ]);
  return [
    ...tableLines([
      ["minicpm", diagnosis.version],
      ["platform", `${diagnosis.platform}, Node ${diagnosis.node}`],
      ["addon", `${escaped(diagnosis.addon.path)} ${diagnosis.addon.loaded ? "(loads)" : "(does not load)"}`],
      ...deviceRows(diagnosis),
      ...modelRows(diagnosis),
      ...environmentRows(diagnosis),
    ]),
    "",
    ...(problems.length > 0 ? problems : [answerStyle.green("No problems found.")]),
  ];
}

function deviceRows({ devices, cuda }: Diagnosis): string[][] {
  const [first] = devices;
  if (!first) return [["processor", escaped(processorName())]];
  const cpu = devices.find(({ name }) => name === "cpu") ?? first;
  return [
    ["processor", `${escaped(cpu.description)}, ${cpu.cores} cores`],
    ["instructions", cpu.isas.join(", ")],
    ["memory", `${formatBytes(cpu.freeBytes)} free of ${formatBytes(cpu.totalBytes)}`],
    ["devices", devices.map(({ name }) => name).join(", ")],
    ...devices
      .filter(({ name }) => name.startsWith("cuda"))
      .map(({ name, description, isas, freeBytes, totalBytes }) => [
        name,
        `${escaped(description)} (${isas.join()}), ${formatBytes(freeBytes)} free of ${formatBytes(totalBytes)}`,
      ]),
    ["CUDA plug-in", cuda.found ? escaped(cuda.path) : "none"],
  ];
}

function modelRows({ models }: Diagnosis): string[][] {
  if (models.length === 0) return [["models", "none"]];
  return models.map(({ reference, format }, row) => [
    row === 0 ? "models" : "",
    `${escaped(reference)} (${format})`,
  ]);
}

function environmentRows({ environment }: Diagnosis): string[][] {
  return Object.entries(environment).map(([name, value]) => [
    name,
    value === null ? "not set" : escaped(value),
  ]);
}
