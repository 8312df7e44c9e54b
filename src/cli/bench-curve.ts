/** `minicpm bench --curve`: prefill and decode speed over the length of the context. */
import { appendFileSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Command, Option } from "commander";
import type { BenchLoadOptions } from "../bench/bench-model.ts";
import {
  type CurveLine,
  type CurveOptions,
  type CurvePoint,
  fittedPoints,
  measureLine,
} from "../bench/curve.ts";
import { type LineOptions, llamaCppLine, ownLines } from "../bench/curve-lines.ts";
import { curveChart, curveMarkdown } from "../bench/curve-report.ts";
import { EngineProcess } from "../bench/engine-process.ts";
import { peerWeights } from "../bench/peer-file.ts";
import { findLlamaCpp } from "../bench/peers.ts";
import { findScheduling } from "../bench/scheduling.ts";
import type { VersusModel } from "../bench/sides.ts";
import { openCheckpoint } from "../model/load.ts";
import { isExtensible } from "../model/rope-extension.ts";
import type { KvType } from "../native/binding.ts";
import { quantize } from "../quantize/quantize.ts";
import { Prepared, type VersusFlags } from "./bench-versus.ts";
import { guarded } from "./command-options.ts";
import { UsageError } from "./failure.ts";
import { givenFile } from "./given-file.ts";
import { escaped } from "./printable.ts";
import { integer } from "./settings.ts";
import { bytesStatus } from "./status-line.ts";
import type { Terminal } from "./terminal.ts";

const usualLengths = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072];

export interface CurveFlags {
  /** true: the usual lengths. */
  readonly curve?: true | readonly number[];
  readonly points?: string;
  readonly budget?: number;
  readonly vsMost?: number;
}

export function addCurveOptions(command: Command): void {
  const add = (option: Option) => command.addOption(option.helpGroup("Over the length of the context:"));
  const lengths = (text: string) => text.split(",").map(integer(1, 2 ** 24));
  add(
    new Option(
      "--curve [lengths]",
      `speed at each of these lengths, sparse and dense, by default ${usualLengths.join()}`,
    ).argParser(guarded(lengths)),
  );
  add(
    new Option("--points <file>", "JSON lines: what is there is not measured again, what is new goes there"),
  );
  add(
    new Option("--budget <seconds>", "for each line and test; longer lengths are fitted (60)").argParser(
      guarded(integer(1, 2 ** 24)),
    ),
  );
  add(
    new Option("--vs-most <tokens>", "longest length measured in the other engine (32768)").argParser(
      guarded(integer(64, 2 ** 24)),
    ),
  );
}

export interface CurveQuestion extends VersusFlags, CurveFlags {
  readonly model?: string | undefined;
  readonly shape?: string | undefined;
  readonly keep: boolean;
  /** kvType absent: each that the model has. */
  readonly load: Omit<BenchLoadOptions, "onProgress" | "kvType"> & { readonly kvType?: KvType | undefined };
  readonly prompt: number;
  readonly generate: number;
  readonly rounds: number;
  readonly output: "md" | "json" | "jsonl" | "csv";
}

/** @throws UsageError for flags that do not go together; PeerNotFoundError, and what engines throw. */
export async function benchCurve(
  question: CurveQuestion,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const { curve, vs, vsModel, load, output, points: file, svg } = question;
  if (vs === "onnxruntime") throw new UsageError("--curve stands beside llama.cpp only.");
  if (load.device !== "cpu") throw new UsageError("--curve measures the CPU only.");
  if (output === "csv") throw new UsageError("--curve prints md, json or jsonl.");
  const lengths = (Array.isArray(curve) ? [...curve] : usualLengths).sort((a, b) => a - b);
  const points = new Points(file);
  const notes: string[] = [];
  const names = [
    { model: question.model, shape: question.shape },
    ...(vsModel === undefined ? [] : [{ other: vsModel }]),
  ];
  for (const name of names) {
    const prepared = new Prepared(terminal, signal, question.keep);
    try {
      const model = await ("other" in name
        ? prepared.modelOrShape(name.other)
        : prepared.model(name.model, name.shape));
      // The extension is asked for the first model; another has it where it can.
      const isFirst = !("other" in name);
      const rope = isFirst || isExtensible(openCheckpoint(model.path).config) ? load.rope : undefined;
      const asked = { ...question, load: { ...load, rope } };
      for (const line of await linesFor(model, prepared, asked, { lengths, terminal, signal })) {
        await measure(line, points, question, { lengths, terminal, signal });
      }
    } finally {
      terminal.status.clear();
      prepared.remove();
      notes.push(...prepared.notes);
    }
  }
  print(points.measured, { lengths, notes, output, svg }, terminal);
  points.close(lengths);
}

interface Run {
  readonly lengths: readonly number[];
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
}

/** The points of a file, if there is one: appended to as they are measured, so that a run that was ended goes on. */
class Points {
  readonly measured: CurvePoint[];

  constructor(private readonly file: string | undefined) {
    this.measured = file === undefined || !existsSync(file) ? [] : readPoints(file);
  }

  add(point: CurvePoint): void {
    this.measured.push(point);
    if (this.file !== undefined) appendFileSync(this.file, `${JSON.stringify(point)}\n`);
  }

  /** The file then has the fitted ones too. */
  close(lengths: readonly number[]): void {
    if (this.file === undefined) return;
    const all = [...this.measured, ...fittedPoints(this.measured, lengths)];
    writeFileSync(this.file, all.map((point) => `${JSON.stringify(point)}\n`).join(""));
  }
}

/** The measured points of a file that `--points` has written. @throws UsageError */
export function readPoints(file: string): CurvePoint[] {
  const lines = givenFile(file).toString().split("\n");
  return lines.flatMap((line, index) => {
    if (line.trim() === "") return [];
    try {
      const point = JSON.parse(line) as CurvePoint;
      if (!(point.tokens_per_second > 0 && point.length > 0)) throw new Error("no point");
      return point.fitted ? [] : point;
    } catch {
      throw new UsageError(
        `--points: line ${index + 1} of ${file} is no point of a curve; give another file.`,
      );
    }
  });
}

/** What the points come to. */
function print(
  measured: readonly CurvePoint[],
  asked: {
    readonly lengths: readonly number[];
    readonly notes: readonly string[];
    readonly output: CurveQuestion["output"];
    readonly svg?: string | undefined;
  },
  terminal: Pick<Terminal, "line" | "json">,
): void {
  const points = [...measured, ...fittedPoints(measured, asked.lengths)];
  const report = { points, lengths: asked.lengths, notes: asked.notes };
  if (asked.svg !== undefined) writeFileSync(asked.svg, curveChart(report));
  if (asked.output === "json") terminal.json(report);
  else if (asked.output === "jsonl") for (const point of points) terminal.json(point);
  else for (const line of curveMarkdown(report)) terminal.line(escaped(line));
}

/** Ours, packed once where the weights are to be packed, then the other engine's. */
async function linesFor(
  { path, name, scratch }: VersusModel,
  prepared: Prepared,
  { load, vs, vsType, vsMost = 32768 }: CurveQuestion,
  { lengths, terminal, signal }: Run,
): Promise<CurveLine[]> {
  const source = openCheckpoint(path);
  const { kvType, sparse = "auto", pack, packGroup = 128, ...place } = load;
  const own: LineOptions = { path, name, sparse, kvType, load: place, most: Math.max(...lengths) };
  const lines = [...ownLines(pack ? { ...own, path: await packed() } : own)];
  if (vs !== undefined) {
    const weights = vsType && peerWeights(vsType.toUpperCase() as Uppercase<typeof vsType>);
    lines.push(
      await llamaCppLine(
        source,
        { name, load: { ...place, pack, packGroup }, most: vsMost },
        {
          entry: findLlamaCpp(),
          weights,
          folder: scratch,
          signal,
          onProgress: (progress) => prepared.showWriting(`${name} for llama.cpp`, progress),
        },
      ),
    );
  }
  return lines;

  async function packed(): Promise<string> {
    const out = join(scratch, `packed-${pack}-${packGroup}`);
    if (existsSync(out)) return out;
    await quantize(path, out, {
      method: "rtn",
      format: pack ?? "w4",
      group: packGroup,
      signal,
      onProgress: ({ done, total }) => terminal.status.show(bytesStatus(`packing ${name}:`, done, total)),
    });
    return out;
  }
}

/** In a process of its own, that ends with the line. */
async function measure(
  line: CurveLine,
  points: Points,
  { load, prompt, generate, rounds, budget = 60 }: CurveQuestion,
  { lengths, terminal, signal }: Run,
): Promise<void> {
  const options: CurveOptions = {
    lengths,
    prompt,
    generate,
    rounds,
    budget,
    signal,
    onStep: (what) => terminal.status.show(what),
    onPoint: (point) => points.add(point),
  };
  const script = fileURLToPath(new URL("./engine-program.js", import.meta.url));
  const threads = points.measured[0]?.threads ?? load.threads ?? 0;
  const scheduling = findScheduling();
  const engine = await EngineProcess.start(line.spec(threads), { scheduling, signal, script });
  try {
    await measureLine(line, engine, points.measured, options);
  } finally {
    await engine.close();
  }
}
