import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test, vi } from "vitest";
import { writeSeededCheckpoint } from "../../src/bench/seeded-checkpoint.ts";
import { type LoadOptions, type LoadProgress, loadModel } from "../../src/chat/load-model.ts";
import { packedLayout } from "../../src/model/packed-model.ts";
import { extendedFactors, nativeFactors } from "../../src/model/rope-extension.ts";
import type { DeviceInfo, MemoryPlan, ModelPlan, NativeAddon } from "../../src/native/binding.ts";
import { nativeError, ScriptedModel } from "../engine/scripted.ts";

/** An addon that loads a script; a model takes 1,000 bytes and 10 for each token of context. */
class ScriptedAddon implements NativeAddon {
  readonly plans: ModelPlan[] = [];
  readonly models: ScriptedModel[] = [];
  freeBytes = 1e6;
  cudaBytes = 1e6;
  pluginProblem = "";
  /** Called between the start of a load and its end. */
  loading: () => void = () => {};

  devices(): DeviceInfo[] {
    return (["cpu", "reference"] as const).map((name) => ({
      name,
      description: "scripted",
      isas: ["script"],
      cores: 1,
      freeBytes: this.freeBytes,
      totalBytes: this.freeBytes,
    }));
  }

  pluginDevices(): DeviceInfo[] {
    if (this.pluginProblem) throw nativeError("kDevice", this.pluginProblem);
    const memory = { freeBytes: this.cudaBytes, totalBytes: this.cudaBytes };
    return [{ name: "cuda:0", description: "scripted card", isas: ["sm_0"], cores: 0, ...memory }];
  }

  memoryPlan(_: ModelPlan, { capacity }: { capacity: number }): MemoryPlan {
    return { mapped: 1000, weights: 0, kv: 10 * capacity, activations: 0, total: 1000 + 10 * capacity };
  }

  async loadModel(
    plan: ModelPlan,
    onProgress?: (done: number, total: number) => void,
  ): Promise<ScriptedModel> {
    if (plan.isa === "z80") throw nativeError("kDevice", "no such instruction set", "z80", "script");
    this.plans.push(plan);
    onProgress?.(500, 1000);
    this.loading();
    await new Promise((resolve) => setImmediate(resolve));
    onProgress?.(1000, 1000);
    const model = new ScriptedModel({ answers: [[50, 4]] });
    this.models.push(model);
    return model;
  }

  readonly packedLayout = packedLayout;

  packWeight() {
    return Promise.resolve(new Uint8Array());
  }

  readWeight() {
    return Promise.resolve(new Uint8Array());
  }

  createCalibration(): never {
    throw new Error("A scripted addon calibrates nothing.");
  }

  probe() {
    return Promise.resolve({ bytesPerSecond: 1, flopsPerSecond: 1, int8OpsPerSecond: 1 });
  }

  nativeBytes() {
    return { allocated: 0, mapped: 0 };
  }
}

let addon = new ScriptedAddon();
beforeEach(() => {
  addon = new ScriptedAddon();
  vi.unstubAllEnvs();
  vi.stubEnv("MINICPM_CPU", undefined);
});

/** Any file will do: a scripted addon opens none. */
const plugin = import.meta.filename;
const withPlugin = () => vi.stubEnv("MINICPM_CUDA", plugin);

vi.mock("../../src/native/binding.ts", async (original) => ({
  ...(await original<typeof import("../../src/native/binding.ts")>()),
  addon: () => addon,
}));

test("a model is loaded with what its files say, and tells what it is", async () => {
  const model = await loadModel("tiny", { contextLength: 256, threads: 3 });
  expect(addon.plans[0]).toMatchObject({ device: "cpu", threads: 3, kvType: "f16", isa: "" });
  expect(addon.plans[0]?.config).toMatchObject({ layers: 2, hiddenSize: 64 });
  expect(model.info).toMatchObject({
    name: "tiny",
    architecture: "MiniCPMForCausalLM",
    kvType: "f16",
    activations: "f32",
    contextLength: 256,
    maxContextLength: 1024,
    contextReason: "The context is 256 tokens, as asked.",
    memory: { kv: 2560, tokenizer: 356 * 1450, total: 3560 + 356 * 1450 },
    hasThinking: false,
    notices: [],
  });
  expect(model.info.loadMs).toBeGreaterThan(0);
  expect((await model.complete("x")).finishReason).toBe("stop");
});

test("progress goes from opening to all bytes of the weights", async () => {
  const seen: LoadProgress[] = [];
  await loadModel("tiny", { onProgress: (progress) => seen.push(progress) });
  expect(seen).toEqual([
    { phase: "open", done: 0, total: 1 },
    { phase: "open", done: 1, total: 1 },
    { phase: "load", done: 500, total: 1000 },
    { phase: "load", done: 1000, total: 1000 },
  ]);
});

test("by itself the context is what fits in half of free memory", async () => {
  expect((await loadModel("tiny")).info.contextLength).toBe(1024);
  addon.freeBytes = 2 * (1000 + 10 * 512);
  const { info } = await loadModel("tiny");
  expect(info.contextLength).toBe(512);
  expect(info.contextReason).toContain("512 tokens: the model's maximum of 1024");
});

test("what cannot fit is refused before any weight is read", async () => {
  addon.freeBytes = 5000;
  await expect(loadModel("tiny", { contextLength: 1000 })).rejects.toMatchObject({
    code: "OUT_OF_MEMORY",
    neededBytes: 11_000,
    freeBytes: 5000,
    message: expect.stringContaining("contextLength: 384"),
  });
  expect(addon.plans).toEqual([]);
});

test("the reference device computes and keeps f32", async () => {
  const { info } = await loadModel("tiny", { device: "reference" });
  expect(info.kvType).toBe("f32");
  expect(addon.plans[0]).toMatchObject({ device: "reference", kvType: "f32" });
});

test("MINICPM_CPU forces the instruction set of the cpu, and an unknown one is a DeviceError", async () => {
  vi.stubEnv("MINICPM_CPU", "baseline");
  await loadModel("tiny");
  await loadModel("tiny", { device: "reference" });
  expect(addon.plans.map(({ isa }) => isa)).toEqual(["baseline", ""]);
  vi.stubEnv("MINICPM_CPU", "z80");
  await expect(loadModel("tiny")).rejects.toMatchObject({
    code: "DEVICE",
    asked: "z80",
    present: ["script"],
  });
});

test.each<[LoadOptions, object]>([
  [{ activations: "int8" }, { code: "UNSUPPORTED", what: 'activations "int8"' }],
  [{ device: "reference", kvType: "f16" }, { code: "UNSUPPORTED" }],
  [{ kvType: "int8" }, { code: "UNSUPPORTED", what: 'kvType "int8" with heads of 16 dimensions' }],
  [{ device: "cuda" as "cpu" }, { code: "OPTION", option: "device" }],
  [{ kvType: "f64" as "f32" }, { code: "OPTION", option: "kvType" }],
  [{ pack: "w3" as "w4" }, { code: "OPTION", option: "pack" }],
  [
    { pack: "w4", packGroup: 48 as 32 },
    { code: "OPTION", option: "packGroup" },
  ],
  [{ activations: "f8" as "f32" }, { code: "OPTION", option: "activations" }],
  [{ threads: 0 }, { code: "OPTION", option: "threads" }],
  [{ threads: 1.5 }, { code: "OPTION", option: "threads" }],
  [{ contextLength: 1025 }, { code: "OPTION", option: "contextLength" }],
  [{ cacheBytes: -1 }, { code: "OPTION", option: "cacheBytes" }],
])("%o is refused", async (options, error) => {
  await expect(loadModel("tiny", options)).rejects.toMatchObject(error);
  expect(addon.plans).toEqual([]);
});

test("weights are packed as asked, in groups of 128 and with int8 activations by itself", async () => {
  const { info } = await loadModel("nano", { pack: "w4" });
  expect(addon.plans[0]).toMatchObject({ pack: { format: "w4", group: 128 }, activations: "int8" });
  expect(info).toMatchObject({ pack: { format: "w4", group: 128 }, activations: "int8" });
  await loadModel("nano", { pack: "w8", packGroup: 32, activations: "f32" });
  expect(addon.plans[1]).toMatchObject({ pack: { format: "w8", group: 32 }, activations: "f32" });
});

test("a matrix that has no whole blocks of 32 columns is named before any weight is read", async () => {
  await expect(loadModel("tiny", { pack: "w4" })).rejects.toMatchObject({
    code: "UNSUPPORTED",
    message: expect.stringMatching(/layers\.0\.mlp\.down.*112/),
  });
  expect(addon.plans).toEqual([]);
});

test("keys and values of packed weights have a fingerprint of their own, one for each way to pack", async () => {
  const ways: LoadOptions[] = [
    {},
    { pack: "w4" },
    { pack: "w8" },
    { pack: "w4", packGroup: 64 },
    { pack: "w4", activations: "f32" },
  ];
  for (const way of ways) await loadModel("nano", way);
  expect(new Set(addon.plans.map(({ fingerprint }) => fingerprint)).size).toBe(ways.length);
});

test("a model that is not there is told with where we looked", async () => {
  await expect(loadModel("no-such-model")).rejects.toMatchObject({ code: "MODEL_NOT_FOUND" });
});

test.each([
  [5, {}, "model"],
  [null, {}, "model"],
  [undefined, {}, "model"],
  ["", {}, "model"],
  ["tiny", null, "options"],
  ["tiny", { signal: "stop" }, "signal"],
])("loadModel(%j, %j) is refused by name", async (reference, options, option) => {
  const loading = loadModel(reference as string, options as LoadOptions);
  await expect(loading).rejects.toMatchObject({ code: "OPTION", option });
});

test("a signal that has fired opens nothing", async () => {
  const onProgress = vi.fn();
  const load = loadModel("tiny", { signal: AbortSignal.abort("late"), onProgress });
  await expect(load).rejects.toMatchObject({ name: "AbortError", cause: "late" });
  expect(onProgress).not.toHaveBeenCalled();
});

test("a signal during the load rejects, tells no more progress, and frees the model", async () => {
  const stop = new AbortController();
  const seen: number[] = [];
  addon.loading = () => stop.abort();
  const load = loadModel("tiny", {
    signal: stop.signal,
    onProgress: ({ phase, done }) => phase === "load" && seen.push(done),
  });
  await expect(load).rejects.toMatchObject({ name: "AbortError" });
  expect(addon.models).toEqual([]); // at once, while it is still loading
  await vi.waitFor(() => expect(addon.models[0]?.disposed).toBe(true));
  expect(seen).toEqual([500]);
});

test("sparse attention runs as the model was trained, where it was not with a notice, or never", async () => {
  const nano = await loadModel("nano");
  expect(nano.info).toMatchObject({ sparse: expect.stringMatching(/^InfLLM v2 v4\.1/), notices: [] });
  expect((await loadModel("nano", { sparse: "off" })).info.sparse).toBe("off");
  const tiny = await loadModel("tiny", { sparse: "on" });
  expect(tiny.info).toMatchObject({ sparse: expect.stringMatching(/untrained$/) });
  expect(tiny.info.notices).toEqual([expect.stringContaining("not trained for it")]);
  expect(addon.plans.map(({ config, fingerprint }) => [config.sparse?.topK, fingerprint])).toEqual([
    [24, expect.any(String)],
    [undefined, expect.not.stringMatching(addon.plans[0]?.fingerprint ?? "")],
    [64, expect.any(String)],
  ]);
  await expect(loadModel("nano", { sparse: "yes" as "on" })).rejects.toMatchObject({ option: "sparse" });
});

test("rope 128k loads MiniCPM4-8B's factors for 128K tokens, and is told; nano has none", async () => {
  const folder = mkdtempSync(join(tmpdir(), "minicpm-rope-"));
  try {
    const factors = nativeFactors(32768);
    const longrope = { rope_type: "longrope", short_factor: factors, long_factor: factors };
    const config = {
      architectures: ["MiniCPMForCausalLM"],
      vocab_size: 1450,
      hidden_size: 256,
      intermediate_size: 64,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      num_key_value_heads: 1,
      max_position_embeddings: 32768,
      tie_word_embeddings: true,
      rope_scaling: { ...longrope, original_max_position_embeddings: 32768 },
    };
    writeSeededCheckpoint(folder, config, { seed: 1, dtype: "BF16" });
    cpSync("models/tiny/tokenizer.json", join(folder, "tokenizer.json"));
    addon.freeBytes = 1e9;
    const native = await loadModel(folder);
    expect(native.info).toMatchObject({ rope: "native", contextLength: 32768 });
    const extended = await loadModel(folder, { rope: "128k" });
    expect(extended.info).toMatchObject({ rope: "128k", contextLength: 131072, maxContextLength: 131072 });
    const lists = addon.plans.map(({ config }) => config.longRope?.longFactor);
    expect(lists).toEqual([factors.map(Math.fround), extendedFactors(32768).map(Math.fround)]);
    expect(addon.plans[0]?.fingerprint).not.toBe(addon.plans[1]?.fingerprint);
  } finally {
    rmSync(folder, { recursive: true });
  }
  await expect(loadModel("nano", { rope: "128k" })).rejects.toMatchObject({ code: "UNSUPPORTED" });
  await expect(loadModel("nano", { rope: "1M" as "128k" })).rejects.toMatchObject({ option: "rope" });
});

test("auto takes the first CUDA device where its plug-in has one", async () => {
  withPlugin();
  const { info } = await loadModel("nano", { pack: "w4" });
  expect(addon.plans[0]).toMatchObject({ device: "cuda:0", plugin, activations: "int8", kvType: "f16" });
  expect(info.notices).toEqual([]);
});

test("the context is chosen by the free memory of the device", async () => {
  withPlugin();
  addon.cudaBytes = 2 * (1000 + 10 * 512);
  expect((await loadModel("tiny")).info.contextLength).toBe(512);
  expect((await loadModel("tiny", { device: "cpu" })).info.contextLength).toBe(1024);
});

test("where auto does not take CUDA although its plug-in is there, a notice says why", async () => {
  withPlugin();
  const notices = async (options: LoadOptions = {}) => {
    const { info } = await loadModel("nano", options);
    expect(addon.plans.at(-1)).toMatchObject({ device: "cpu" });
    expect(addon.plans.at(-1)?.plugin).toBeUndefined();
    return info.notices.filter((notice) => notice.includes("CUDA"));
  };
  expect(await notices({ device: "cpu" })).toEqual([]);
  addon.cudaBytes = 100;
  expect(await notices()).toEqual([expect.stringMatching(/not on CUDA: 0 MiB are needed, 0 MiB are free/)]);
  addon.pluginProblem = "CUDA: looking for devices failed: no driver.";
  expect(await notices()).toEqual([expect.stringMatching(/not on CUDA: CUDA: looking for devices failed/)]);
  vi.stubEnv("MINICPM_CUDA", "/nowhere/minicpm_cuda.so");
  expect(await notices()).toEqual([]);
});

test("a CUDA device that is asked for and not there is refused, saying why", async () => {
  withPlugin();
  await expect(loadModel("tiny", { device: "cuda:1" })).rejects.toMatchObject({
    code: "DEVICE",
    message: expect.stringMatching(
      /no device or instruction set "cuda:1" here. Take one of cpu, reference, cuda:0/,
    ),
  });
  addon.pluginProblem = "CUDA: no driver.";
  await expect(loadModel("tiny", { device: "cuda:0" })).rejects.toThrow(/"cuda:0" here. CUDA: no driver./);
  vi.stubEnv("MINICPM_CUDA", "/nowhere/minicpm_cuda.so");
  await expect(loadModel("tiny", { device: "cuda:0" })).rejects.toThrow(/npm run build:cuda/);
  await expect(loadModel("tiny", { device: "cuda" as "cpu" })).rejects.toMatchObject({ code: "OPTION" });
  expect(addon.plans).toEqual([]);
});

test("what only the CPU can do is refused on CUDA before anything is loaded", async () => {
  withPlugin();
  for (const option of [{ kvSpill: "/tmp" }, { pack: "w4", activations: "int8" } as const]) {
    await expect(loadModel("tiny", { device: "cuda:0", ...option })).rejects.toMatchObject({
      code: "UNSUPPORTED",
    });
  }
  expect(addon.plans).toEqual([]);
});
