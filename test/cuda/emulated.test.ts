/** The whole way from JavaScript through a plug-in to kernels, where there is no GPU: on the emulated device. */
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { seededPrompt } from "../../src/bench/seeded-checkpoint.ts";
import { loadModel } from "../../src/index.ts";
import { addon } from "../../src/native/binding.ts";
import { findCuda } from "../../src/native/cuda.ts";
import { minicpm, nano, testNative, tiny } from "../cli/cli-process.ts";
import { root, testNeeding } from "../needs.ts";
import { bitsOf, decode, planOf, withModel, withSequence } from "../real/native-model.ts";
import { scratchFolder } from "../scratch-folder.ts";
import { emulatedDevice, emulatedPlugin, expectSameWinners, onCuda, testEmulated } from "./emulated.ts";

/** The emulator shares the cores with other tests. */
vi.setConfig({ testTimeout: 300_000 });

const folder = scratchFolder();
const prompt = seededPrompt({ vocab_size: 360 }, 3, 150);
const sampling = {
  temperature: 0.9,
  topK: 40,
  topP: 0.95,
  minP: 0.01,
  repetitionPenalty: 1.1,
  presencePenalty: 0.2,
  frequencyPenalty: 0.1,
  seed: 7n,
  biasTokens: Int32Array.of(5),
  biases: Float32Array.of(1),
  logprobs: -1,
};
/** From the third block on, a block before is chosen. */
const sparse = {
  initBlocks: 0,
  localBlocks: 0,
  topK: 2,
  denseLength: 0,
  generation: "v4.0",
  normalizer: "exact",
} as const;

afterEach(() => vi.unstubAllEnvs());

testEmulated("nano in 4 bits has the CPU's best token after each of 64", async () => {
  const tokens = seededPrompt({ vocab_size: 2048 }, 3, 64);
  const pack = { format: "w4", group: 64 } as const;
  await expectSameWinners(nano, { pack }, { tokens, count: 64, tolerance: 0.005 });
});

testEmulated(
  "so it has with int8 activations, some of which are rounded another way, after each of 8",
  async () => {
    const tokens = seededPrompt({ vocab_size: 2048 }, 3, 8);
    const options = { pack: { format: "w4", group: 64 }, activations: "int8" } as const;
    await expectSameWinners(nano, options, { tokens, count: 8, tolerance: 0.3 });
  },
);

testEmulated("decoded tokens are the reference's, greedy and sampled, dense and sparse", async () => {
  for (const rule of [undefined, sparse]) {
    const { config } = planOf(tiny);
    const found: Int32Array[] = [];
    for (const place of [{ device: "reference" } as const, onCuda]) {
      await withModel(tiny, { ...place, config: { ...config, sparse: rule } }, (model) =>
        withSequence(model, 256, async (sequence) => {
          await sequence.prefill(prompt);
          found.push(await decode(sequence, 12), await decode(sequence, 12, sampling));
        }),
      );
    }
    expect(found.slice(2)).toEqual(found.slice(0, 2));
  }
});

testEmulated("run again, in other chunks, beside another, forked and cut back: the same bits", async () => {
  const runs: Uint32Array[] = [];
  for (const chunk of [prompt.length, 61]) {
    await withModel(tiny, { ...onCuda, kvType: "f16" }, async (model) => {
      const [one, other] = [model.createSequence({ capacity: 256 }), model.createSequence({ capacity: 256 })];
      const beside = other.prefill(prompt.slice(0, 90).reverse());
      for (let at = 0; at < prompt.length; at += chunk) await one.prefill(prompt.subarray(at, at + chunk));
      await beside;
      runs.push(bitsOf(one.logits()));
      const fork = one.fork();
      runs.push(bitsOf(fork.logits()));
      const [made, again, alone] = await Promise.all([decode(one, 8), decode(fork, 8), decode(other, 8)]);
      expect(again).toEqual(made);
      expect(alone.length).toBe(8);
      fork.truncate(100);
      await fork.prefill(prompt.subarray(100));
      runs.push(bitsOf(fork.logits()));
    });
  }
  for (const bits of runs) expect(bits).toEqual(runs[0]);
});

testEmulated(
  "a saved sequence goes on from its files, and a cancelled prefill keeps what it has",
  async () => {
    const saved = mkdtempSync(join(folder, "saved-"));
    const bits: Uint32Array[] = [];
    await withModel(tiny, onCuda, (model) =>
      withSequence(model, 256, async (sequence) => {
        const running = sequence.prefill(prompt);
        sequence.cancel();
        expect(await running).toBe("cancelled");
        await sequence.prefill(prompt.subarray(sequence.length));
        bits.push(bitsOf(sequence.logits()));
        await sequence.save(saved);
      }),
    );
    await withModel(tiny, onCuda, (model) =>
      withSequence(model, 256, async (sequence) => {
        let cached = 0;
        await sequence.prefill(prompt, (_, of) => (cached = of), saved);
        expect(cached).toBe(128);
        bits.push(bitsOf(sequence.logits()));
      }),
    );
    expect(bits[1]).toEqual(bits[0]);
  },
);

testEmulated("all of the device's memory comes back when a model is disposed", async () => {
  const before = emulatedDevice().freeBytes;
  await withModel(tiny, onCuda, (model) =>
    withSequence(model, 256, async (sequence) => {
      await sequence.prefill(prompt.subarray(0, 20));
      const taken = before - emulatedDevice().freeBytes;
      const { total, mapped } = model.memoryPlan({ capacity: 256, sequences: 1 });
      expect(mapped).toBe(0);
      expect(taken).toBeGreaterThan(total / 2);
      expect(taken).toBeLessThan(total * 1.1);
    }),
  );
  expect(emulatedDevice().freeBytes).toBe(before);
});

testEmulated("a chat runs on it by name, and by itself where it is there", async () => {
  vi.stubEnv("MINICPM_CUDA", emulatedPlugin);
  expect(findCuda()).toMatchObject({
    found: true,
    problem: "",
    devices: [{ name: "cuda:0", isas: ["simt"] }],
  });
  for (const device of ["cuda:0", "auto"] as const) {
    await using model = await loadModel(tiny, { device, contextLength: 128 });
    expect(model.info).toMatchObject({ device: "cuda:0", isa: "simt", notices: [] });
    const { text } = await model.chat([{ role: "user", content: "hi" }], { maxTokens: 4, temperature: 0 });
    await using processor = await loadModel(tiny, { device: "cpu", contextLength: 128 });
    const same = await processor.chat([{ role: "user", content: "hi" }], { maxTokens: 4, temperature: 0 });
    expect(text).toBe(same.text);
  }
});

testEmulated(
  "a plan that the device cannot run is refused, and so is a file that is no plug-in",
  async () => {
    await expect(
      withModel(tiny, { ...onCuda, spill: { path: folder, bytes: 1 << 20 } }, () => {}),
    ).rejects.toThrow(/cannot be spilled/);
    await expect(
      withModel(tiny, { device: "cuda:0", plugin: join(root, "package.json") }, () => {}),
    ).rejects.toThrow(/plug-in cannot be opened: .*package.json/);
    expect(() => addon().pluginDevices("/nowhere.so")).toThrow(/cannot be opened/);
  },
);

testEmulated(
  "a model that does not fit the device is refused with numbers, and auto goes on by the CPU",
  async () => {
    const env = { MINICPM_CUDA: emulatedPlugin, MINICPM_EMULATED_BYTES: "500000" };
    const refused = await minicpm(["run", tiny, "hi", "--device", "cuda:0"], { env });
    expect({ code: refused.code, out: refused.out }).toEqual({ code: 1, out: "" });
    expect(refused.err).toMatch(/\d+ MiB are needed, \d+ MiB are free/);
    const moved = await minicpm(["run", tiny, "hi", "--max-tokens", "2"], { env });
    expect(moved.code).toBe(0);
    expect(moved.err).toMatch(/Running on the CPU, not on CUDA: \d+ MiB are needed/);
  },
);

testEmulated("bench measures a model on it, against the limits of the device", async () => {
  const words = ["bench", tiny, "-p", "8", "-n", "2", "-r", "1", "--device", "cuda:0", "--json"];
  const { out } = await minicpm(words, { env: { MINICPM_CUDA: emulatedPlugin } });
  const rows: { share: number }[] = JSON.parse(out);
  expect(rows).toMatchObject([{ test: "pp8", backends: "cuda:0 simt" }, { test: "tg2" }]);
  for (const { share } of rows) expect(share).toBeGreaterThan(0);
});

testEmulated("doctor names the device and the plug-in", async () => {
  const { code, out } = await minicpm(["doctor"], { env: { MINICPM_CUDA: emulatedPlugin } });
  expect(code).toBe(0);
  expect(out).toMatch(/devices +cpu, reference, cuda:0/);
  expect(out).toMatch(/cuda:0 +an emulated device \(simt\), \S+ \S+ free of/);
  expect(out).toMatch(/CUDA plug-in +\S+minicpm_cuda_emulated\.node/);
});

testNative("without a plug-in nothing speaks of CUDA but doctor, and cuda:0 is refused", async () => {
  const env = { MINICPM_CUDA: "/nowhere/minicpm_cuda.so" };
  const quiet = await minicpm(["run", tiny, "hi", "--max-tokens", "2"], { env });
  expect({ code: quiet.code, err: quiet.err }).toEqual({ code: 0, err: "" });
  const refused = await minicpm(["run", tiny, "hi", "--device", "cuda:0"], { env });
  expect(refused.code).toBe(1);
  expect(refused.err).toMatch(/no device "cuda:0" here\. There is no CUDA plug-in .*npm run build:cuda/);
  expect((await minicpm(["doctor"], { env })).out).toMatch(/notice: There is no CUDA plug-in/);
  const odd = await minicpm(["run", tiny, "hi", "--device", "gpu"], { env });
  expect(odd.code).toBe(2);
});

/** Built by `npm run build:cuda`; on machines with a driver it says nothing. */
const realPlugin = join(root, "build/Release/minicpm_cuda.so");
testNeeding([realPlugin], "npm run build:cuda")(
  "the real plug-in opens, and the CPU goes on without a driver",
  async () => {
    vi.stubEnv("MINICPM_CUDA", realPlugin);
    const { devices, problem } = findCuda();
    if (devices.length > 0) return;
    expect(problem).toMatch(/^CUDA: looking for devices failed: .*\(cudaError\w+, \d+\)\.$/);
    const { code, err } = await minicpm(["run", tiny, "hi", "--max-tokens", "2"], {
      env: { MINICPM_CUDA: realPlugin },
    });
    expect(code).toBe(0);
    expect(err).toMatch(/Running on the CPU, not on CUDA: CUDA: looking for devices failed/);
  },
);

test("MINICPM_CUDA off looks for nothing", () => {
  vi.stubEnv("MINICPM_CUDA", "off");
  expect(findCuda()).toMatchObject({ found: false, devices: [], problem: 'MINICPM_CUDA is "off".' });
});
