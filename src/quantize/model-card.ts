/** The README.md of a packed folder: what it was made from, how, and what that changed. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { OpenedCheckpoint } from "../model/opened-model.ts";
import type { PackedModel, PackMethod } from "../model/packed-model.ts";
import type { ModelComparison } from "../native/binding.ts";

export interface CardFacts {
  readonly checkpoint: OpenedCheckpoint;
  readonly packed: PackedModel;
  /** Tokens of the calibration text. */
  readonly tokens: number | undefined;
  readonly comparison: ModelComparison | undefined;
  /** Of the file of weights. */
  readonly bytes: number;
}

const bits = { w8: "8 bits", w4: "4 bits", w2: "2 bits (ternary)" } as const;

const methods: Readonly<Record<PackMethod, string>> = {
  rtn: "rounding to nearest",
  gptq: "GPTQ (arXiv:2210.17323)",
  "p-gptq": "P-GPTQ (GPTQ in which every token counts alike, attention sinks too; after arXiv:2506.07900)",
};

export function writeModelCard(
  folder: string,
  { checkpoint, packed, tokens, comparison, bytes }: CardFacts,
): void {
  const { format, group, method = "rtn", source } = packed;
  const lines = [
    `# ${source.name}, ${format}`,
    "",
    `Made by \`minicpm quantize\` from ${source.name}: ${bits[format]} a weight, ${group} weights to a scale, head and ` +
      `embedding 8 bits. Run it with \`minicpm chat FOLDER\`.`,
    "",
    "| | |",
    "| --- | --- |",
    `| source | ${source.name} (${checkpoint.format}), fingerprint \`${source.fingerprint}\` |`,
    `| method | ${methods[method]}${tokens ? `, ${tokens} tokens of calibration text` : ""} |`,
    `| weights | ${bytes} bytes |`,
    ...(comparison
      ? [
          `| perplexity | ${perplexity(comparison.sourceNll)} before, ${perplexity(comparison.packedNll)} after, on ` +
            `${comparison.tokens} tokens at the end of the calibration text |`,
          `| KL divergence from the source | ${comparison.kl.toExponential(2)} nats a token |`,
        ]
      : []),
    "",
    "The licence of the source holds for this folder, too.",
    "",
  ];
  writeFileSync(join(folder, "README.md"), lines.join("\n"));
}

/** Of a mean negative log-likelihood, in nats. */
export function perplexity(nll: number): string {
  return Math.exp(nll).toFixed(3);
}
