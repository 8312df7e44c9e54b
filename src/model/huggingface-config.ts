/** `config.json` and `generation_config.json` of a Hugging Face folder. */
import { CheckpointError, UnsupportedError } from "../errors.ts";
import {
  checkHeads,
  limits,
  longRope,
  type ModelConfig,
  type RopeNumbers,
  type RopeScaling,
  unsupportedRope,
} from "./config.ts";
import { Fields, isObject } from "./json-fields.ts";
import { yarnScaling } from "./yarn.ts";

interface Architecture {
  /** It has MiniCPM's three scales. */
  readonly scaled?: true;
  readonly qkNorm?: true;
  /** Where the file does not say; absent: hidden_size / heads. */
  readonly headDim?: number;
}

/** Those that run. */
const architectures: ReadonlyMap<string, Architecture> = new Map<string, Architecture>([
  ["MiniCPMForCausalLM", { scaled: true }],
  ["MiniCPM4ForCausalLM", { scaled: true }],
  ["LlamaForCausalLM", {}],
  ["Qwen3ForCausalLM", { qkNorm: true, headDim: 128 }],
]);

/** What `generation_config.json` sets; absent fields are left to the caller. */
export interface GenerationConfig {
  /** false means greedy, whatever the temperature. */
  readonly doSample?: boolean;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly maxTokens?: number;
  readonly bosToken?: number;
  readonly eosTokens?: readonly number[];
}

/**
 * The config of a `config.json`.
 *
 * @param file named in errors
 * @throws CheckpointError where a number cannot be true, naming file, field, expected and found.
 * @throws UnsupportedError where the model needs what the forward pass does not do.
 */
export function parseHuggingFaceConfig(file: string, json: unknown): ModelConfig {
  const fields = Fields.of(file, json);
  const architecture = readArchitecture(fields);
  const { scaled, qkNorm, headDim: usualHeadDim } = architectures.get(architecture) ?? {};
  refuseUnsupported(fields);

  const vocabSize = fields.integer("vocab_size", limits.vocabSize);
  const hiddenSize = fields.integer("hidden_size", limits.hiddenSize);
  const layers = fields.integer("num_hidden_layers", limits.layers);
  const heads = fields.integer("num_attention_heads", limits.heads);
  const kvHeads = fields.integer("num_key_value_heads", limits.heads, heads);
  const headDim = readHeadDim(fields, hiddenSize, heads, usualHeadDim);
  checkHeads(file, { heads, kvHeads, headDim }, { heads: "num_attention_heads", headDim: "head_dim" });
  const maxContext = fields.integer("max_position_embeddings", limits.context);

  const rope = fields.fields("rope_parameters") ?? fields.fields("rope_scaling");
  const theta = (rope?.has("rope_theta") ? rope : fields).number("rope_theta", limits.theta, 10000);
  const numbers = { headDim, theta, maxContext };
  const scaling = rope ? readRopeScaling(fields, rope, numbers) : { maxContext };
  const tiedHead = fields.boolean("tie_word_embeddings");
  const [bosToken] = fields.integers("bos_token_id", { least: 0, most: vocabSize - 1 });
  const sparseConfig = fields.get("sparse_config");
  if (sparseConfig !== undefined && !isObject(sparseConfig)) {
    throw fields.wrong("sparse_config", "a JSON object", sparseConfig);
  }
  return {
    architecture,
    vocabSize,
    hiddenSize,
    intermediateSize: fields.integer("intermediate_size", limits.intermediateSize),
    layers,
    heads,
    kvHeads,
    headDim,
    rmsNormEps: fields.number("rms_norm_eps", limits.eps, 1e-6),
    ...(scaled ? readScales(fields, hiddenSize, layers) : { embedScale: 1, residualScale: 1, logitScale: 1 }),
    ropeTheta: theta,
    ...scaling,
    ...(qkNorm && { qkNorm }),
    ...(tiedHead !== undefined && { tiedHead }),
    ...(bosToken !== undefined && { bosToken }),
    eosTokens: fields.integers("eos_token_id", { least: 0, most: vocabSize - 1 }),
    ...(sparseConfig && { sparseConfig }),
  };
}

/** The defaults of a `generation_config.json`. @throws CheckpointError */
export function parseGenerationConfig(file: string, json: unknown, vocabSize: number): GenerationConfig {
  const fields = Fields.of(file, json);
  const tokens = { least: 0, most: vocabSize - 1 };
  const number = (name: string, least: number, most: number) =>
    fields.has(name) ? fields.number(name, { least, most }) : undefined;
  const integer = (name: string, least: number) =>
    fields.has(name) ? fields.integer(name, { least, most: 2 ** 31 }) : undefined;
  const values = {
    doSample: fields.boolean("do_sample"),
    temperature: number("temperature", 0, 100),
    topK: integer("top_k", 0),
    topP: number("top_p", 0, 1),
    minP: number("min_p", 0, 1),
    repetitionPenalty: number("repetition_penalty", 1e-3, 1e3),
    maxTokens: integer("max_new_tokens", 1),
    bosToken: fields.integers("bos_token_id", tokens)[0],
    eosTokens: fields.has("eos_token_id") ? fields.integers("eos_token_id", tokens) : undefined,
  };
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

function readArchitecture(fields: Fields): string {
  const list = fields.get("architectures");
  const [name] = Array.isArray(list) ? (list as unknown[]) : [];
  if (typeof name !== "string") throw fields.wrong("architectures", "a list with the model's class", list);
  if (!architectures.has(name)) {
    const known = [...architectures.keys()].join(", ");
    throw new UnsupportedError(`The architecture ${name} (in ${fields.file})`, `These run: ${known}.`);
  }
  return name;
}

function refuseUnsupported(fields: Fields): void {
  const refuse = (what: string, instead: string) => {
    throw new UnsupportedError(`${what} (in ${fields.file})`, instead);
  };
  for (const name of ["attention_bias", "mlp_bias"]) {
    if (fields.boolean(name)) refuse(name, "Only models without biases run.");
  }
  const activation = fields.string("hidden_act") ?? "silu";
  if (activation !== "silu") refuse(`hidden_act ${activation}`, "Only silu does.");
  if (fields.boolean("use_sliding_window")) refuse("use_sliding_window", "Only full attention runs.");
  if (fields.integer("num_experts", { least: 0, most: 2 ** 20 }, 0) > 0)
    refuse("num_experts", "Take a dense model.");
}

function readHeadDim(fields: Fields, hiddenSize: number, heads: number, usual?: number): number {
  if (fields.has("head_dim") || usual) return fields.integer("head_dim", limits.headDim, usual);
  if (hiddenSize % heads !== 0) {
    throw new CheckpointError(
      fields.file,
      "hidden_size",
      `a multiple of the ${heads} heads`,
      String(hiddenSize),
    );
  }
  return hiddenSize / heads;
}

/** Fields that a MiniCPM config lacks count as in its class, but dim_model_base as in every released MiniCPM4. */
function readScales(fields: Fields, hiddenSize: number, layers: number) {
  return {
    embedScale: fields.number("scale_emb", limits.scale, 1),
    residualScale: fields.number("scale_depth", limits.scale, 1) / Math.sqrt(layers),
    logitScale: fields.number("dim_model_base", limits.scale, 256) / hiddenSize,
  };
}

function readRopeScaling(fields: Fields, rope: Fields, numbers: RopeNumbers): RopeScaling {
  const { headDim, maxContext } = numbers;
  const type = rope.string("rope_type") ?? rope.string("type") ?? "default";
  if (type === "default") return { maxContext };
  if (type === "yarn") return readYarn(fields.file, rope, numbers);
  if (type !== "longrope") throw unsupportedRope(fields.file, type);
  const original = "original_max_position_embeddings";
  const magnitude = "attention_factor";
  return {
    longRope: longRope(
      rope.numbers("short_factor", headDim / 2, limits.ropeFactor),
      rope.numbers("long_factor", headDim / 2, limits.ropeFactor),
      (rope.has(original) ? rope : fields).integer(original, limits.context),
      maxContext,
      rope.has(magnitude) ? rope.number(magnitude, limits.scale) : undefined,
    ),
    maxContext,
  };
}

function readYarn(file: string, rope: Fields, numbers: RopeNumbers): RopeScaling {
  for (const name of ["mscale", "mscale_all_dim"]) {
    if (rope.has(name)) throw unsupportedRope(file, `yarn with ${name}`);
  }
  if (rope.boolean("truncate") === false) throw unsupportedRope(file, "yarn with truncate false");
  const number = (name: string) => (rope.has(name) ? rope.number(name, limits.scale) : undefined);
  return yarnScaling({
    ...numbers,
    factor: rope.number("factor", limits.yarnFactor),
    originalLength: rope.integer("original_max_position_embeddings", limits.context, numbers.maxContext),
    betaFast: number("beta_fast"),
    betaSlow: number("beta_slow"),
    magnitude: number("attention_factor"),
  });
}
