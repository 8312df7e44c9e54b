/**
 * MiniCPM4-0.5B's real config and tokenizer with random weights: real sizes without the real model. Written once into
 * .cache/ (0.87 GB), whole or not at all.
 */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type SeededConfig, writeSeededCheckpoint } from "../../src/bench/seeded-checkpoint.ts";
import { root, sharedPath } from "../needs.ts";

export const halfBillionConfig = sharedPath("data/tokenizers/MiniCPM4-0.5B.config.json");
export const minicpm4Tokenizer = sharedPath("data/tokenizers/MiniCPM4.tokenizer.json");

/** The folder, written if it is not there. */
export function halfBillionFolder(): string {
  const cache = join(root, ".cache");
  const folder = join(cache, "minicpm4-0.5b-random");
  if (existsSync(folder)) return folder;

  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, "writing-"));
  try {
    const config = JSON.parse(readFileSync(halfBillionConfig, "utf8")) as SeededConfig;
    writeSeededCheckpoint(work, config, { seed: 5, dtype: "BF16" });
    copyFileSync(minicpm4Tokenizer, join(work, "tokenizer.json"));
    renameSync(work, folder);
  } catch (error) {
    rmSync(work, { recursive: true, force: true });
    throw error;
  }
  return folder;
}
