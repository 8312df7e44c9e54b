import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { packingOf } from "../../src/chat/packing.ts";
import { checkpointAsGguf } from "../../src/gguf/checkpoint-gguf.ts";
import { openCheckpoint } from "../../src/model/load.ts";
import { addon, type ModelPlan } from "../../src/native/binding.ts";
import { publicError } from "../../src/native/error-table.ts";
import { quantize } from "../../src/quantize/quantize.ts";
import { type ArrayCase, type ArrayTensor, arrayCases, writeArrayCheckpoint } from "../golden/arrays.ts";
import { root, testNeeding } from "../needs.ts";
import { bitsOf, planOf, withSequence } from "../real/native-model.ts";
import { scratchFolder } from "../scratch-folder.ts";

const folder = scratchFolder();
const testNative = testNeeding([join(root, "build/Release/minicpm.node")], "npm run build:native");
const q = "model.layers.0.self_attn.q_proj";
let written = 0;

interface Changes {
  /** Beside the fields of quantization_config; null leaves it out. */
  readonly quantization?: Readonly<Record<string, unknown>> | null;
  readonly tensors?: (tensor: ArrayTensor) => ArrayTensor | readonly ArrayTensor[];
  readonly file?: string;
}

/** The golden case `name`, changed, in a folder of its own. */
function made(name: string, { quantization, tensors, file }: Changes = {}): string {
  const golden = arrayCases.find((each) => each.name === name) as ArrayCase;
  const its = golden.config.quantization_config as object | undefined;
  const { quantization_config: _, ...plain } = golden.config;
  const config = {
    ...plain,
    ...(quantization !== null && { quantization_config: { ...its, ...quantization } }),
  };
  const path = join(folder, String(written++));
  const changed = golden.tensors.flatMap((tensor) => tensors?.(tensor) ?? tensor);
  writeArrayCheckpoint(
    path,
    { ...golden, config: its || quantization ? config : golden.config, tensors: changed },
    file,
  );
  return path;
}

/** Changes one tensor and leaves the others. */
function only(name: string, change: Partial<ArrayTensor> | undefined) {
  return (tensor: ArrayTensor) =>
    tensor.name === name ? (change ? [{ ...tensor, ...change }] : []) : [tensor];
}

function loadError(plan: ModelPlan): Promise<unknown> {
  return addon()
    .loadModel(plan)
    .catch((error: unknown) => publicError(error));
}

function weightOf(path: string, name = "layers.0.attn.q") {
  return openCheckpoint(path).plan.weights[name];
}

test("GPTQ's tensors become one weight, and nothing is left over", () => {
  const { plan, unknownTensors } = openCheckpoint(made("gptq-4-asym-g32"));
  expect(unknownTensors).toEqual([]);
  expect(plan.weights["layers.0.mlp.down"]).toMatchObject({
    dtype: "GPTQ4",
    shape: [128, 192],
    arrays: { rows: 128, firstRow: 0, group: 32, symmetric: false, zeroPoints: { added: 1 } },
  });
  expect(plan.weights.head).toMatchObject({ dtype: "F16" });
});

test("a head may be quantized too", () => {
  expect(weightOf(made("gptq-4-sym-g64-v2-head"), "head")).toMatchObject({
    dtype: "GPTQ4",
    arrays: { symmetric: true, zeroPoints: { added: 0 } },
  });
});

test("q, k and v of a Marlin file are rows of one tensor", () => {
  const { plan, unknownTensors } = openCheckpoint(made("marlin-g64"));
  expect(unknownTensors).toEqual([]);
  const places = ["attn.q", "attn.k", "attn.v", "mlp.up"].map((part) => plan.weights[`layers.0.${part}`]);
  expect(places.map((weight) => weight?.arrays?.firstRow)).toEqual([0, 128, 192, 192]);
  expect(new Set(places.slice(0, 3).map((weight) => weight?.offset)).size).toBe(1);
});

test("the only safetensors file of a folder is its model, and settings may lie beside it", () => {
  const path = made("gptq-8-asym-g128", { quantization: null, file: "gptq_model-8bit-128g.safetensors" });
  writeFileSync(
    join(path, "quantize_config.json"),
    JSON.stringify({ bits: 8, group_size: 128, desc_act: false }),
  );
  expect(weightOf(path)).toMatchObject({ dtype: "GPTQ8", arrays: { group: 128, symmetric: false } });
});

test("AutoAWQ's own settings are read too", () => {
  const path = made("awq-g64", { quantization: null });
  const settings = { zero_point: true, q_group_size: 64, w_bit: 4, version: "GEMM" };
  writeFileSync(join(path, "quant_config.json"), JSON.stringify(settings));
  expect(weightOf(path)).toMatchObject({ dtype: "AWQ4", arrays: { group: 64 } });
});

test.each([
  ["qzeros", undefined, "I32 [1, 16]", "no such tensor"],
  ["scales", { shape: [2, 64] }, "F16 [1, 128]", "F16 [2, 64]"],
  ["qweight", { shape: [8, 256] }, "I32 [16, 128]", "I32 [8, 256]"],
  ["qzeros", { dtype: "F16", fill: [0, 1] }, "I32 [1, 16]", "F16 [1, 16]"],
  ["g_idx", { shape: [127] }, "I32 [128]", "I32 [127]"],
  ["bias", { shape: [64] }, "shape [128]", "[64]"],
] as const)("a %s that is missing or wrong is named", (part, change, expected, found) => {
  const tensor = `${q}.${part}`;
  // 8 rows of qweight are those of a Marlin file, whose q lies elsewhere.
  const path = made("gptq-4-sym-g128", { tensors: only(tensor, change as Partial<ArrayTensor> | undefined) });
  expect(() => openCheckpoint(path)).toThrow(
    expect.objectContaining({ code: "CHECKPOINT", tensor, expected, found }),
  );
});

test("biases that are not zero are refused", () => {
  const path = made("gptq-4-sym-g128", { tensors: only(`${q}.bias`, { fill: [0, 0.5] }) });
  expect(() => openCheckpoint(path)).toThrow(
    expect.objectContaining({ code: "UNSUPPORTED", what: expect.stringContaining(`${q}.bias`) }),
  );
});

test("columns in the order of their activations are told from neighbours", () => {
  expect(weightOf(made("gptq-4-asym-order-g32"))?.arrays?.columnGroups).toEqual({
    file: 0,
    offset: expect.any(Number),
  });
  expect(weightOf(made("gptq-4-asym-g32"))?.arrays?.columnGroups).toBeUndefined();
});

testNative("groups that are none, or have too many columns, end loading", async () => {
  for (const [fill, found] of [
    [{ group: 16 }, "column 64 in group 4"],
    [{ group: 64 }, "column 32 in group 0"],
    [0xffffffff, "column 0 in group -1"],
  ] as const) {
    const plan = planOf(made("gptq-4-asym-order-g32", { tensors: only(`${q}.g_idx`, { fill }) }));
    const expected = "4 groups of 32 columns";
    const tensor = "layers.0.attn.q, groups of columns";
    expect(await loadError(plan)).toMatchObject({ code: "CHECKPOINT", tensor, expected, found });
  }
});

testNative.each(["gptq-4-asym-g32", "awq-g64", "marlin-g64"])(
  "scales of %s may be bfloat16",
  async (name) => {
    // Numbers that both types hold: 2^-6 for all.
    const inType = (dtype: "F16" | "BF16") =>
      planOf(
        made(name, {
          tensors: (tensor) =>
            tensor.name.endsWith(".scales") ? { ...tensor, dtype, fill: [0, 1 / 64] } : tensor,
        }),
      );
    const logits = async (plan: ModelPlan) => {
      const model = await addon().loadModel(plan);
      try {
        return await withSequence(model, 16, async (sequence) => {
          await sequence.prefill(Int32Array.of(1, 5, 9));
          return bitsOf(sequence.logits());
        });
      } finally {
        await model.dispose();
      }
    };
    expect(await logits(inType("BF16"))).toEqual(await logits(inType("F16")));
  },
);

test.each([
  [{ quant_method: "fp8" }, 'The quantization "fp8"'],
  [{ bits: 3 }, "GPTQ with 3 bits"],
  [{ group_size: 16 }, "group_size 16"],
  [{ checkpoint_format: "marlin" }, 'checkpoint_format "marlin"'],
  [{ quant_method: "awq", version: "gemv" }, 'AWQ\'s version "gemv"'],
  [{ quant_method: "awq", bits: 8 }, "AWQ with 8 bits"],
])("%j is refused", (quantization, what) => {
  expect(() => openCheckpoint(made("gptq-4-sym-g128", { quantization }))).toThrow(
    expect.objectContaining({ code: "UNSUPPORTED", what: expect.stringContaining(what) }),
  );
});

test("quantized tensors whose settings are nowhere are refused", () => {
  expect(() => openCheckpoint(made("gptq-4-sym-g128", { quantization: null }))).toThrow(
    expect.objectContaining({ code: "CHECKPOINT", expected: "a quantization_config in config.json" }),
  );
});

testNative("a zero point that is not in the middle, where all should be, ends loading", async () => {
  for (const [name, fill, found] of [
    ["gptq-4-sym-g128", 0x77777767, "7 in row 1"],
    ["gptq-8-sym-g64", 0x7f7e7f7f, "127 in row 2"],
  ] as const) {
    const plan = planOf(made(name, { tensors: only(`${q}.qzeros`, { fill }) }));
    expect(await loadError(plan)).toMatchObject({
      code: "CHECKPOINT",
      tensor: "layers.0.attn.q, zero points",
      found,
    });
  }
});

test("they run with int8 activations unless f32 is asked for, and packing goes for the others", () => {
  const checkpoint = openCheckpoint(made("awq-g64"));
  expect(packingOf({}, checkpoint)).toEqual({ activations: "int8" });
  expect(packingOf({ activations: "f32" }, checkpoint)).toEqual({ activations: "f32" });
  expect(packingOf({ pack: "w8" }, checkpoint)).toMatchObject({
    pack: { format: "w8" },
    activations: "int8",
  });
});

testNative("packing leaves them as they are and packs embedding and head", () => {
  const path = made("gptq-4-sym-g128");
  const without = addon().memoryPlan(planOf(path), { capacity: 64, sequences: 1 });
  const packed = addon().memoryPlan(planOf(path, { pack: { format: "w2", group: 32 } }), {
    capacity: 64,
    sequences: 1,
  });
  expect(packed.weights - without.weights).toBe(2 * 96 * (128 + (2 * 128) / 32));
});

test("they are not packed into a folder of other numbers", async () => {
  const packing = quantize(made("gptq-4-sym-g128"), join(folder, "out"), { format: "w4", group: 128 });
  await expect(packing).rejects.toMatchObject({
    code: "UNSUPPORTED",
    what: expect.stringContaining("whose layers.0.attn.q is quantized"),
  });
});

test("a GGUF is not made of them", () => {
  expect(() => checkpointAsGguf(openCheckpoint(made("awq-g64")))).toThrow(
    expect.objectContaining({ code: "UNSUPPORTED" }),
  );
});
