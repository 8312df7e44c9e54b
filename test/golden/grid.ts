/**
 * The committed goldens of the forward pass: cases and their logits, dense in grid.json and grid.safetensors, with
 * sparse attention in sparse.json and sparse.safetensors, Qwen3's in qwen3.json and qwen3.safetensors. Weights in arrays
 * have theirs in arrays.ts.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { SeededConfig, SeededDType } from "../../src/bench/seeded-checkpoint.ts";

export interface GridCase {
  readonly name: string;
  readonly seed: number;
  /** Of all weights. */
  readonly dtype: SeededDType;
  readonly weightsSha256: string;
  /** Tokens of the prompt. */
  readonly length: number;
  /** Of the sequence: it decides LongRoPE's list. */
  readonly capacity: number;
  /** Positions whose logits are kept. */
  readonly rows: readonly number[];
  readonly config: SeededConfig;
}

const at = (name: string) => fileURLToPath(new URL(name, import.meta.url));

export const gridCases: readonly GridCase[] = JSON.parse(readFileSync(at("grid.json"), "utf8"));
export const sparseCases: readonly GridCase[] = JSON.parse(readFileSync(at("sparse.json"), "utf8"));
export const qwen3Cases: readonly GridCase[] = JSON.parse(readFileSync(at("qwen3.json"), "utf8"));

/** case name -> float32 logits `[rows, vocabulary]`, computed in float64. */
export function goldenLogits(
  name: "grid" | "sparse" | "qwen3" | "arrays",
): ReadonlyMap<string, Float32Array> {
  const file = readFileSync(at(`${name}.safetensors`));
  const headerBytes = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, 8 + headerBytes)) as Record<
    string,
    { data_offsets: [number, number] }
  >;
  return new Map(
    Object.entries(header).map(
      ([
        name,
        {
          data_offsets: [start, end],
        },
      ]) => [
        name,
        new Float32Array(
          Uint8Array.from(file.subarray(8 + headerBytes + start, 8 + headerBytes + end)).buffer,
        ),
      ],
    ),
  );
}
