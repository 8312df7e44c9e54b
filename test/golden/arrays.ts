/** The committed goldens of weights in arrays (GPTQ, AWQ, Marlin): cases in arrays.json, their logits in arrays.safetensors. */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fnv1a, numberAt, type SeededConfig, wordAt } from "../../src/bench/seeded-checkpoint.ts";
import { toBf16, toF16 } from "../../src/model/half.ts";

export interface ArrayCase {
  readonly name: string;
  readonly seed: number;
  readonly weightsSha256: string;
  /** Tokens of the prompt. */
  readonly length: number;
  /** Positions whose logits are kept. */
  readonly rows: readonly number[];
  readonly config: SeededConfig;
  readonly tensors: readonly ArrayTensor[];
}

export interface ArrayTensor {
  readonly name: string;
  readonly dtype: "I32" | "F16" | "BF16";
  readonly shape: readonly number[];
  /** Random words, one word, column / group (of columns sorted by random words, if so), or numbers: [amplitude, offset]. */
  readonly fill:
    | "words"
    | number
    | { readonly group: number; readonly sorted?: boolean }
    | readonly [amplitude: number, offset: number];
}

export const arrayCases: readonly ArrayCase[] = JSON.parse(
  readFileSync(fileURLToPath(new URL("arrays.json", import.meta.url)), "utf8"),
);

/** Writes config.json and a safetensors file; returns sha256 of all tensor bytes in file order. */
export function writeArrayCheckpoint(
  folder: string,
  { config, tensors, seed }: Pick<ArrayCase, "config" | "tensors" | "seed">,
  file = "model.safetensors",
): string {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  const data = tensors.map((tensor) => filled(tensor, seed));
  let end = 0;
  const entries = tensors.map(({ name, dtype, shape }, i) => {
    const start = end;
    end += data[i]?.length ?? 0;
    return [name, { dtype, shape, data_offsets: [start, end] }];
  });
  const json = JSON.stringify(Object.fromEntries(entries));
  const text = Buffer.from(json.padEnd(Math.ceil(json.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(join(folder, file), Buffer.concat([length, text, ...data]));
  return createHash("sha256").update(Buffer.concat(data)).digest("hex");
}

function filled({ name, dtype, shape, fill }: ArrayTensor, seed: number): Uint8Array {
  const count = shape.reduce((product, length) => product * length, 1);
  const start = (seed ^ fnv1a(name)) >>> 0;
  const values = <T extends Uint16Array | Uint32Array>(array: T, at: (index: number) => number) => {
    for (let i = 0; i < count; i++) array[i] = at(i);
    return new Uint8Array(array.buffer);
  };
  if (fill === "words") return values(new Uint32Array(count), (i) => wordAt(start, i));
  if (typeof fill === "number") return values(new Uint32Array(count), () => fill);
  if ("group" in fill) {
    const groups = Array.from({ length: count }, (_, i) => Math.floor(i / fill.group));
    if (!fill.sorted) return values(new Uint32Array(count), (i) => groups[i] ?? 0);
    const order = groups.map((_, i) => i).sort((a, b) => wordAt(start, a) - wordAt(start, b));
    const of = new Map(order.map((column, i) => [column, groups[i] ?? 0]));
    return values(new Uint32Array(count), (i) => of.get(i) ?? 0);
  }
  const [amplitude, offset] = fill;
  const float = new Float32Array(1);
  const bits = new Uint32Array(float.buffer);
  return values(new Uint16Array(count), (i) => {
    float[0] = offset + amplitude * numberAt(start, i);
    return (dtype === "BF16" ? toBf16 : toF16)(bits[0] ?? 0);
  });
}
