/** The text that quantization learns from where none is given: prose, dialogue, sums, Chinese, documentation and code of our own. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Seen from src/quantize and dist/quantize alike. */
const file = fileURLToPath(new URL("../../models/calibration.txt", import.meta.url));

export function calibrationText(): string {
  return readFileSync(file, "utf8");
}
