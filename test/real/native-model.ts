/** Whole models at the native boundary: opened by src/model, run by the addon, with nothing above. */
import { greedy } from "../../src/engine/sampling.ts";
import { openCheckpoint } from "../../src/model/load.ts";
import { chooseSparse } from "../../src/model/sparse-rule.ts";
import { addon, type ModelPlan, type NativeModel, type NativeSequence } from "../../src/native/binding.ts";

export type RunOptions = Partial<
  Pick<
    ModelPlan,
    | "device"
    | "plugin"
    | "threads"
    | "kvType"
    | "isa"
    | "pack"
    | "activations"
    | "spill"
    | "cacheBytes"
    | "config"
    | "weights"
  >
>;

/** The plan of a model folder or .gguf file; one thread, exact keys and values, unless asked otherwise. */
export function planOf(reference: string, options: RunOptions = {}): ModelPlan {
  const { path, config, plan } = openCheckpoint(reference);
  return {
    ...plan,
    config: { ...plan.config, sparse: chooseSparse(path, config, "auto").rule },
    device: "cpu",
    threads: 1,
    kvType: "f32",
    isa: "",
    cacheBytes: 0,
    ...options,
  };
}

/** Loads a model, hands it to `use`, and frees it. */
export async function withModel<T>(
  reference: string,
  options: RunOptions,
  use: (model: NativeModel) => T | Promise<T>,
): Promise<T> {
  const model = await addon().loadModel(planOf(reference, options));
  try {
    return await use(model);
  } finally {
    await model.dispose();
  }
}

/** A sequence of `capacity` tokens, handed to `use` and freed. */
export async function withSequence<T>(
  model: NativeModel,
  capacity: number,
  use: (sequence: NativeSequence) => T | Promise<T>,
): Promise<T> {
  const sequence = model.createSequence({ capacity });
  try {
    return await use(sequence);
  } finally {
    sequence.dispose();
  }
}

/** Prefills `tokens` in calls of `chunk` tokens each. */
export async function prefillIn(sequence: NativeSequence, tokens: Int32Array, chunk: number): Promise<void> {
  for (let first = 0; first < tokens.length; first += chunk) {
    await sequence.prefill(tokens.subarray(first, first + chunk));
  }
}

/** `count` tokens after what the sequence holds, never stopping early. */
export async function decode(
  sequence: NativeSequence,
  count: number,
  sampling = greedy,
): Promise<Int32Array> {
  const made: number[] = [];
  await sequence.decode({ count, stopTokens: new Int32Array(), sampling }, ({ tokens }) =>
    made.push(...tokens),
  );
  return Int32Array.from(made);
}

/** The bytes of an array, for comparisons by bits: `expect(bitsOf(a)).toEqual(bitsOf(b))` tells -0 from 0 and NaNs apart. */
export function bitsOf(array: Float32Array): Uint32Array {
  return new Uint32Array(array.buffer, array.byteOffset, array.length);
}
