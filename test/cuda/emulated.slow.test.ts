/** More models on the emulated device, and longer contexts: minutes, as the emulator makes about a GFLOP a second. */
import { join } from "node:path";
import { seededPrompt } from "../../src/bench/seeded-checkpoint.ts";
import { nano } from "../cli/cli-process.ts";
import { root, testNeeding } from "../needs.ts";
import { planOf } from "../real/native-model.ts";
import { expectSameWinners, testEmulated } from "./emulated.ts";

/** The first block, the two nearest, and one chosen. */
const sparse = {
  initBlocks: 1,
  localBlocks: 1,
  topK: 2,
  denseLength: 0,
  generation: "v4.0",
  normalizer: "exact",
} as const;

const tokens = seededPrompt({ vocab_size: 2048 }, 5, 264);

testEmulated("nano in bf16 has the CPU's best token after each of 64", async () => {
  await expectSameWinners(nano, {}, { tokens: tokens.subarray(0, 64), count: 64, tolerance: 0.005 });
});

testEmulated("with keys and values in f16, which roundings set apart, it is close", async () => {
  const options = { kvType: "f16" } as const;
  await expectSameWinners(nano, options, { tokens: tokens.subarray(0, 64), count: 64, tolerance: 0.05 });
});

for (const pack of [undefined, { format: "w4", group: 64 } as const]) {
  testEmulated(`nano in ${pack?.format ?? "bf16"}, sparse, has it behind 200 tokens`, async () => {
    const config = { ...planOf(nano).config, sparse };
    const options = pack ? { config, pack } : { config };
    await expectSameWinners(nano, options, { tokens, count: 64, tolerance: 0.005 });
  });
}

const smollm2 = join(root, "models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
testNeeding([smollm2], "models/smollm2/fetch brings it")(
  "SmolLM2's first layers, in the 4 bits of their file, have the CPU's best token after each of 64",
  async () => {
    const { config, weights } = planOf(smollm2);
    const layers = 2;
    const first = Object.entries(weights).filter(([name]) => {
      const layer = /^layers\.(\d+)\./.exec(name)?.[1];
      return layer === undefined || Number(layer) < layers;
    });
    await expectSameWinners(
      smollm2,
      { config: { ...config, layers }, weights: Object.fromEntries(first) },
      { tokens: seededPrompt({ vocab_size: 49152 }, 5, 64), count: 64, tolerance: 0.005 },
    );
  },
);
