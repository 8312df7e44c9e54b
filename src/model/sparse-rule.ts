/**
 * Which blocks of keys queries attend to under InfLLM v2 (arXiv:2506.07900): from a model's `sparse_config`, or from
 * the table of known models whose config.json lacks one.
 */
import { CheckpointError, UnsupportedError } from "../errors.ts";
import type { SparseRule } from "../native/binding.ts";
import type { ModelConfig } from "./config.ts";
import { Fields } from "./json-fields.ts";

/** `auto`: as the model was trained. `on`: sparse whatever it was trained for. */
export const sparseModes = ["auto", "on", "off"] as const;
export type SparseMode = (typeof sparseModes)[number];

export interface SparseChoice {
  /** Absent: every query attends to all keys before it. */
  readonly rule?: SparseRule;
  /** For people: what runs, and why. */
  readonly text: string;
  /** What the user should know of it, if anything. */
  readonly notice?: string;
}

const blockTokens = 64;
const countLimits = { least: 0, most: 2 ** 20 };

/** The numbers of MiniCPM4's model cards. */
const card: SparseRule = {
  initBlocks: 1,
  localBlocks: 32,
  topK: 64,
  denseLength: 8192,
  generation: "v4.0",
  normalizer: "exact",
};

/**
 * @throws CheckpointError where the sparse_config is wrong
 * @throws UnsupportedError where it is one that we do not have and `mode` is "on"; with "auto" the model runs dense then.
 */
export function chooseSparse(
  file: string,
  config: Pick<ModelConfig, "sparseConfig" | "hiddenSize" | "layers" | "heads" | "kvHeads" | "maxContext">,
  mode: SparseMode,
): SparseChoice {
  if (mode === "off") return { text: "off" };
  const known = knownModel(config);
  if (config.sparseConfig) {
    const unsupported = beyondUs(file, config.sparseConfig);
    if (!unsupported) {
      return described(readRule(file, config.sparseConfig, known?.rule ?? card), known?.trained ?? true);
    }
    if (mode === "on") throw unsupported;
    return {
      text: "none: not supported",
      notice: `${unsupported.what} is not supported: the model runs dense.`,
    };
  }
  if (mode === "on") return described(known?.rule ?? card, known?.trained ?? false);
  if (known?.trained) return described(known.rule, true);
  return { text: "none" };
}

/** Released models, by their dimensions: MiniCPM4-8B and its fine-tunes are trained for it, the 0.5B is not. */
function knownModel({
  hiddenSize,
  layers,
  heads,
  kvHeads,
  maxContext,
}: Pick<ModelConfig, "hiddenSize" | "layers" | "heads" | "kvHeads" | "maxContext">):
  | { readonly rule: SparseRule; readonly trained: boolean }
  | undefined {
  const dimensions = [hiddenSize, layers, heads, kvHeads].join();
  if (dimensions === "1024,24,16,2") return { rule: card, trained: false };
  if (dimensions !== "4096,32,32,2") return undefined;
  const is41 = maxContext > 32768;
  return { rule: is41 ? { ...card, generation: "v4.1", normalizer: "coarse" } : card, trained: true };
}

function described(rule: SparseRule, trained: boolean): SparseChoice {
  const { initBlocks, localBlocks, topK, denseLength, generation, normalizer } = rule;
  const blocks = topK + localBlocks;
  const numbers = `${blocks} blocks of ${blockTokens} keys (${initBlocks} first, ${localBlocks} near)`;
  const text = `InfLLM v2 ${generation}, ${normalizer} normalizer: ${numbers} from ${denseLength} tokens on`;
  if (trained) return { rule, text };
  return {
    rule,
    text: `${text}; untrained`,
    notice:
      "Sparse attention is on, but this model was not trained for it: expect worse answers to long prompts.",
  };
}

/** What a sparse_config asks for that no kernel of ours does. */
function beyondUs(file: string, json: Readonly<Record<string, unknown>>): UnsupportedError | undefined {
  const fields = Fields.of(file, json, "sparse_config.");
  const asked = (name: string, fallback: number) => fields.integer(name, countLimits, fallback);
  const wrong: string[] = [];
  for (const [name, only] of [
    ["kernel_size", 32],
    ["kernel_stride", 16],
    ["block_size", blockTokens],
  ] as const) {
    const value = asked(name, only);
    if (value !== only) wrong.push(`${name} ${value} (only ${only})`);
  }
  if (fields.boolean("use_nope")) wrong.push("use_nope");
  if (wrong.length === 0) return undefined;
  return new UnsupportedError(
    `sparse_config with ${wrong.join(", ")} (in ${file})`,
    'Load it with sparse: "off".',
  );
}

function readRule(file: string, json: Readonly<Record<string, unknown>>, fallback: SparseRule): SparseRule {
  const fields = Fields.of(file, json, "sparse_config.");
  const count = (name: string, value: number) => fields.integer(name, countLimits, value);
  const windowSize = count("window_size", fallback.localBlocks * blockTokens);
  const rule: SparseRule = {
    initBlocks: count("init_blocks", fallback.initBlocks),
    localBlocks: windowSize / blockTokens,
    topK: count("topk", fallback.topK),
    denseLength: Math.max(
      0,
      fields.integer("dense_len", { least: -1, most: 2 ** 31 - 1 }, fallback.denseLength),
    ),
    generation: oneOf(fields, "rule", ["v4.0", "v4.1"], fallback.generation),
    normalizer: oneOf(fields, "lse", ["exact", "coarse"], fallback.normalizer),
  };
  if (!Number.isInteger(rule.localBlocks)) {
    throw new CheckpointError(
      file,
      "sparse_config.window_size",
      `a multiple of ${blockTokens}`,
      String(windowSize),
    );
  }
  const least = rule.initBlocks + (rule.generation === "v4.1" ? 1 : 0);
  if (rule.topK < least) {
    throw new CheckpointError(file, "sparse_config.topk", `at least ${least}`, String(rule.topK));
  }
  return rule;
}

function oneOf<Value extends string>(
  fields: Fields,
  name: string,
  values: readonly Value[],
  fallback: Value,
): Value {
  const value = fields.get(name) ?? fallback;
  if (values.includes(value as Value)) return value as Value;
  throw fields.wrong(name, values.join(" or "), value);
}
