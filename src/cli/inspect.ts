/** `minicpm inspect`: what a model is and what it takes, from its headers; no weight is read. */
import type { Command } from "commander";
import { openModel } from "../model/load.ts";
import type { KvType } from "../native/binding.ts";
import {
  addOutputOptions,
  applyOutputOptions,
  kvTypeOption,
  type LoadFlags,
  type OutputOptions,
  spillOptions,
} from "./command-options.ts";
import { chosenModel, defaultModelHelp, modelHelp } from "./default-model.ts";
import { type MemoryRow, memoryByContext } from "./memory-table.ts";
import { type ModelReport, modelReport } from "./model-report.ts";
import { escaped } from "./printable.ts";
import { formatBytes, formatParameters, plural } from "./quantities.ts";
import { tableLines } from "./table.ts";
import type { Terminal } from "./terminal.ts";

interface InspectOptions extends OutputOptions, Pick<LoadFlags, "kvSpill" | "kvMemoryBytes"> {
  readonly kvType: KvType;
}

export function addInspectCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("inspect")
    .summary("show what a model is and the memory it takes")
    .description(
      "Show a model's numbers, tensors and memory by context length. Reads headers and the tokenizer, no weights.",
    )
    .argument("[model]", `${modelHelp} (${defaultModelHelp})`);
  command.addOption(kvTypeOption().default("f16"));
  for (const option of spillOptions()) command.addOption(option);
  addOutputOptions(command, "one JSON object");
  command.action(async (reference: string | undefined, options: InspectOptions) => {
    applyOutputOptions(terminal, options);
    const checkpoint = openModel((await chosenModel(reference, terminal)).path);
    const report = modelReport(checkpoint);
    const memory = memoryByContext(checkpoint, options);
    if (options.json) {
      terminal.json({ ...report, kvType: options.kvType, memory: memory.rows ?? null });
    } else {
      for (const line of [...reportLines(report), ...memoryLines(memory.rows, options.kvType)])
        terminal.line(line);
    }
    if (!memory.rows) terminal.notice(`Memory by context length needs the native addon. ${memory.missing}`);
  });
}

function reportLines(report: ModelReport): string[] {
  const { config, generationConfig, sparse, sparseConfig, unknownTensors, groups, packed, repacked } = report;
  return [
    ...tableLines([
      ["model", escaped(report.name)],
      ["path", escaped(report.path)],
      ["format", report.format],
      ["parameters", `${formatParameters(report.parameters)}, ${formatBytes(report.bytes)}`],
      ...(packed ? [["packed", packedText(packed)]] : []),
      ...Object.entries(repacked).map(([type, becomes]) => [type, `loaded as ${becomes}, the file's own`]),
      ["head", report.tiedHead ? "tied to the embedding" : "its own"],
      ["sparse attention", sparse],
      ...(sparseConfig ? [["  sparse_config", shown(sparseConfig)]] : []),
      ...(report.extendedContext ? [["extension", `${report.extendedContext} tokens with --rope 128k`]] : []),
      ["chat template", report.chatTemplate ? "its own" : "none: ChatML in MiniCPM4's form is used"],
      [
        "tokenizer",
        `${report.tokenizer.tokens} tokens, ${report.tokenizer.fastPath ? "fast path" : "no fast path"}`,
      ],
      ["sampling defaults", Object.keys(generationConfig).length > 0 ? shown(generationConfig) : "none"],
    ]),
    "",
    ...tableLines(Object.entries(config).map(([name, value]) => [`  ${name}`, shown(value)])),
    "",
    ...tableLines(
      [
        ["tensors", "", "type", "parameters", "bytes"],
        ...groups.map(({ group, tensors, dtypes, parameters, bytes }) => [
          `  ${group}`,
          String(tensors),
          dtypes.join(" "),
          formatParameters(parameters),
          formatBytes(bytes),
        ]),
      ],
      ["left", "right", "left", "right", "right"],
    ),
    ...unknownLines(unknownTensors),
  ];
}

function packedText({ format, group, source }: NonNullable<ModelReport["packed"]>): string {
  return `${format} in groups of ${group}, head and embedding w8, from ${escaped(source.name)} (${escaped(source.fingerprint)})`;
}

function unknownLines(names: readonly string[]): string[] {
  if (names.length === 0) return [];
  const shownNames = names.slice(0, 10).map((name) => `  ${escaped(name)}`);
  const rest = names.length > 10 ? [`  and ${names.length - 10} more (--json lists all)`] : [];
  return ["", `${plural(names.length, "tensor")} that the model has no use for:`, ...shownNames, ...rest];
}

function memoryLines(rows: readonly MemoryRow[] | undefined, kvType: string): string[] {
  if (!rows) return [];
  const cells = rows.map(({ contextLength, mapped, weights, kv, activations, tokenizer, total }) => [
    String(contextLength),
    ...[mapped + weights, kv, activations, tokenizer, total].map(formatBytes),
  ]);
  return [
    "",
    ...tableLines(
      [["context", "weights", `KV ${kvType}`, "activations", "tokenizer", "total"], ...cells],
      ["right", "right", "right", "right", "right", "right"],
    ),
  ];
}

function shown(value: unknown): string {
  if (value === null || value === undefined) return "none";
  if (typeof value !== "object") return escaped(String(value));
  if (Array.isArray(value)) return escaped(value.join(" "));
  return Object.entries(value)
    .map(
      ([name, field]) =>
        `${escaped(name)} ${escaped(typeof field === "object" ? JSON.stringify(field) : String(field))}`,
    )
    .join(", ");
}
