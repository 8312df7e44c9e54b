/** The plug-in as nvcc has compiled it, on what takes the place of CUDA's runtime (test/ptx): its PTX, and calls that fail. */
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, vi } from "vitest";
import { addonFile, tiny } from "../cli/cli-process.ts";
import { root, testNeeding } from "../needs.ts";
import { planOf } from "../real/native-model.ts";
import { scratchFolder } from "../scratch-folder.ts";
import { emulatedPlugin } from "./emulated.ts";

vi.setConfig({ testTimeout: 300_000 });

const plugin = join(root, "build/Release/minicpm_cuda_stand_in.so");
const testStandIn = testNeeding([addonFile, plugin], "native/cuda/build.mjs --stand-in");
const plan = join(scratchFolder(), "plan.json");

interface Run {
  readonly tokens?: readonly number[];
  readonly error?: string;
}

/** Two runs in a process of their own, and what it says at its end. */
async function runs(environment: Record<string, string> = {}, device = plugin) {
  writeFileSync(plan, JSON.stringify(planOf(tiny)));
  const script = join(root, "test/cuda/run-whole.mjs");
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [script, addonFile, device, plan], {
    env: { ...process.env, PTX_LEAKS: "1", ...environment },
  });
  const [first = {}, second = {}]: Run[] = JSON.parse(stdout);
  return { first, second, end: stderr };
}

testStandIn("a whole model has the emulator's tokens, whenever what is queued runs", async () => {
  const { first } = await runs({}, emulatedPlugin);
  expect(first.tokens?.length).toBe(6);
  for (const delay of ["0", "1"]) {
    const found = await runs({ PTX_DELAY: delay });
    expect(found).toEqual({ first, second: first, end: expect.stringContaining("all was freed") });
  }
});

testStandIn("without a driver, or with an old one, CUDA's own words say so", async () => {
  expect((await runs({ PTX_DEVICE: "none" })).first.error).toMatch(/^kDevice: CUDA: .*cudaErrorNoDevice/);
  expect((await runs({ PTX_DEVICE: "old-driver" })).first.error).toMatch(/cudaErrorInsufficientDriver, 35/);
});

testStandIn("any call may fail: it says so, nothing leaks, and the next model runs", async () => {
  const { second: whole } = await runs();
  for (let call = 1; call < 700; call += 61) {
    const { first, second, end } = await runs({ PTX_FAIL_CALL: `${call}`, PTX_DELAY: "1" });
    if (first.error) expect(first.error, `call ${call}`).toMatch(/^kDevice: CUDA|^kOutOfMemory/);
    else expect(first, `call ${call}`).toEqual(whole);
    expect(second.tokens ?? second.error, `call ${call}`).toEqual(whole.tokens);
    expect(end, `call ${call}`).toContain("all was freed");
  }
});

testStandIn("any allocation may fail, and a device too small is refused with numbers", async () => {
  const { second: whole } = await runs();
  let failed = 0;
  for (let allocation = 1; allocation < 40; allocation += 7) {
    const { first, second, end } = await runs({ PTX_FAIL_ALLOCATION: `${allocation}` });
    const errors = [first, second].flatMap(({ error }) => error ?? []);
    // Where memory was kept for later, letting go of it makes room.
    failed += errors.length;
    expect(errors.length, `allocation ${allocation}`).toBeLessThanOrEqual(1);
    for (const error of errors) expect(error).toMatch(/^kOutOfMemory: \d+ bytes .*are needed/);
    expect([first, second]).toContainEqual(whole);
    expect(end).toContain("all was freed");
  }
  expect(failed).toBeGreaterThan(1);
  const { first } = await runs({ PTX_VRAM: "500000" });
  expect(first.error).toMatch(/^kOutOfMemory: \d+ bytes are needed on cuda:0, \d+ are free/);
});
