/** What `inspect` tells of a checkpoint: a plain object whose shape stays, printed or as JSON. */
import { arrayBecomes, isArrayType } from "../model/array-types.ts";
import type { OpenedCheckpoint, OpenedModel } from "../model/opened-model.ts";
import type { PackedModel } from "../model/packed-model.ts";
import { isQuantType, quantFormats } from "../model/quant-types.ts";
import { extendedContext, isExtensible } from "../model/rope-extension.ts";
import { chooseSparse } from "../model/sparse-rule.ts";
import { weightBytes, weightElements } from "../model/weight-size.ts";
import type { WeightPlan } from "../native/binding.ts";

export interface TensorGroup {
  readonly group: string;
  readonly tensors: number;
  readonly dtypes: readonly string[];
  readonly parameters: number;
  readonly bytes: number;
}

export interface ModelReport {
  readonly name: string;
  readonly path: string;
  readonly format: OpenedCheckpoint["format"];
  /** Numbers of the model; lists of LongRoPE factors are left out. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly parameters: number;
  readonly tiedHead: boolean;
  readonly bytes: number;
  /** How the matrices are packed, and what they were made from; null where they are not. */
  readonly packed: PackedModel | null;
  /** What each quantized type becomes when it is loaded; empty where there is none. */
  readonly repacked: Readonly<Record<string, string>>;
  readonly groups: readonly TensorGroup[];
  readonly unknownTensors: readonly string[];
  /** What runs, for people. */
  readonly sparse: string;
  readonly sparseConfig: Readonly<Record<string, unknown>> | null;
  /** Tokens that `rope: "128k"` extends the model to; null where it cannot. */
  readonly extendedContext: number | null;
  readonly generationConfig: Readonly<Record<string, unknown>>;
  /** The model brings a chat template. */
  readonly chatTemplate: boolean;
  readonly stopTokens: readonly number[];
  readonly tokenizer: { readonly tokens: number; readonly fastPath: boolean };
}

export function modelReport(opened: OpenedModel): ModelReport {
  const { name, path, format, config, plan, tiedHead, unknownTensors, generationConfig, tokenizer } = opened;
  const { sparseConfig, longRope, ...numbers } = config;
  const groups = tensorGroups(plan.weights);
  return {
    name,
    path,
    format,
    config: { ...numbers, longRope: longRope ? longRopeSummary(longRope) : null },
    parameters: sum(groups.map(({ parameters }) => parameters)),
    tiedHead,
    bytes: sum(groups.map(({ bytes }) => bytes)),
    packed: opened.packed ?? null,
    repacked: repackedTypes(plan.weights),
    groups,
    unknownTensors,
    sparse: chooseSparse(path, config, "auto").text,
    sparseConfig: sparseConfig ?? null,
    extendedContext: isExtensible(config) ? extendedContext : null,
    generationConfig: { ...generationConfig },
    chatTemplate: opened.chatTemplate !== undefined,
    stopTokens: Array.from(opened.stopTokens),
    tokenizer: { tokens: tokenizer.vocabSize, fastPath: tokenizer.fastPath },
  };
}

/** Sorted by the type's name. */
function repackedTypes(weights: Readonly<Record<string, WeightPlan>>): Record<string, string> {
  const types = new Map<string, Set<string>>();
  for (const weight of Object.values(weights)) {
    const becomes = repackedAs(weight);
    const type = weight.ternary ? `${weight.dtype}, ternary` : weight.dtype;
    if (becomes) types.set(type, (types.get(type) ?? new Set()).add(becomes));
  }
  const named = [...types].sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(named.map(([type, becomes]) => [type, [...becomes].join(" and ")]));
}

function repackedAs(weight: WeightPlan): string | undefined {
  const { dtype, ternary } = weight;
  if (isArrayType(dtype)) return arrayBecomes({ ...weight, dtype });
  if (ternary) return `w2 (ternary), scales of ${ternary}`;
  return isQuantType(dtype) ? quantFormats[dtype].becomes : undefined;
}

/** Weights by what they are part of: embedding, head, attention, mlp, norms. */
function tensorGroups(weights: Readonly<Record<string, WeightPlan>>): TensorGroup[] {
  const groups = new Map<
    string,
    { tensors: number; dtypes: Set<string>; parameters: number; bytes: number }
  >();
  for (const [name, weight] of Object.entries(weights)) {
    const group = groupOf(name);
    const entry = groups.get(group) ?? { tensors: 0, dtypes: new Set<string>(), parameters: 0, bytes: 0 };
    entry.tensors++;
    entry.dtypes.add(weight.dtype);
    entry.parameters += weightElements(weight);
    entry.bytes += weightBytes(weight);
    groups.set(group, entry);
  }
  return [...groups].map(([group, { dtypes, ...numbers }]) => ({
    group,
    ...numbers,
    dtypes: [...dtypes].sort(),
  }));
}

function groupOf(name: string): string {
  if (name === "embed") return "embedding";
  if (name === "head") return "head";
  if (name.endsWith("norm")) return "norms";
  return name.includes(".attn.") ? "attention" : "mlp";
}

function longRopeSummary({
  originalLength,
  magnitude,
  alwaysLong,
  shortFactor,
  longFactor,
}: NonNullable<OpenedCheckpoint["config"]["longRope"]>) {
  const sameLists = shortFactor.every((factor, i) => factor === longFactor[i]);
  return { originalLength, magnitude, alwaysLong, sameLists };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
