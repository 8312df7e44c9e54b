/** Names a model's numbers, so that keys and values of one model are never taken for another's. */
import { createHash, type Hash } from "node:crypto";
import type { ModelPlan } from "../native/binding.ts";
import { type ByteSource, withFile } from "./byte-source.ts";

/** Files up to this are hashed whole, larger ones by header and samples: bytes. */
const wholeBytes = 32 * 2 ** 20;
const headerBytes = 2 ** 18;
const sampleBytes = 4096;
/** Samples spread over a file, beside those at the start of each tensor. */
const spreadSamples = 256;

/**
 * 32 hex digits of SHA-256 over the config, the mapping of tensors, the settings that change keys or values, and the
 * weight files: their sizes, and their bytes as described above. Reads about 3 MB of a large model, in milliseconds.
 *
 * @throws CheckpointError when a file cannot be read
 */
export function modelFingerprint(
  plan: Pick<ModelPlan, "config" | "files" | "weights" | "kvType" | "device" | "pack" | "activations">,
): string {
  const { config, files, weights, kvType, pack, activations = "f32" } = plan;
  const device = plan.device.replace(/:.*/, ""); // cards of a kind give the same numbers
  const hash = createHash("sha256");
  const named = Object.entries(weights).sort(([a], [b]) => (a < b ? -1 : 1));
  const sizes = files.map(({ bytes }) => bytes);
  hash.update(JSON.stringify([config, named, kvType, device, activations, sizes, ...(pack ? [pack] : [])]));
  for (const [index, { path }] of files.entries()) {
    const starts = named.filter(([, { file }]) => file === index).map(([, { offset }]) => offset);
    withFile(path, (source) => addFile(hash, source, starts));
  }
  return hash.digest("hex").slice(0, 32);
}

function addFile(hash: Hash, source: ByteSource, starts: readonly number[]): void {
  const add = (offset: number, length: number) => {
    const begin = Math.min(offset, source.size);
    hash.update(source.read(begin, Math.min(length, source.size - begin)));
  };
  if (source.size <= wholeBytes) {
    add(0, source.size);
    return;
  }
  add(0, headerBytes);
  for (const start of starts) add(start, sampleBytes);
  for (let i = 1; i <= spreadSamples; i++) {
    add(Math.floor(((source.size - sampleBytes) * i) / spreadSamples), sampleBytes);
  }
}
