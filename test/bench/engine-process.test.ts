import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import type { EngineSpec } from "../../src/bench/engine.ts";
import { EngineProcess } from "../../src/bench/engine-process.ts";
import { findScheduling } from "../../src/bench/scheduling.ts";
import type { Workload } from "../../src/bench/workload.ts";

const script = fileURLToPath(new URL("./children/engine.mjs", import.meta.url));
const scheduling = { name: "SCHED_OTHER", description: "ordinary", prefix: [] };
const specOf = (model: string): EngineSpec => ({
  kind: "minicpm",
  model,
  load: { device: "cpu", kvType: "f16" },
});
const prompt = (tokens: number): Workload => ({ kind: "prompt", prompt: tokens, depth: 0 });

const open: EngineProcess[] = [];
afterEach(async () => {
  for (const engine of open.splice(0)) await engine.close();
});

async function started(
  options: Partial<Parameters<typeof EngineProcess.start>[1]> = {},
): Promise<EngineProcess> {
  const engine = await EngineProcess.start(specOf("m"), { scheduling, script, ...options });
  open.push(engine);
  return engine;
}

test("a process tells about its engine and answers one measurement after the other", async () => {
  const engine = await started();
  expect(engine.about).toMatchObject({ engine: "scripted", threads: 3, variants: ["a", "b"] });
  expect(engine.idleShare).toBe(0);
  expect(await engine.measure(prompt(8), 1, 2)).toEqual({ seconds: 2, tokensPerSecond: 21 });
  expect(await engine.measure(prompt(8), 0, 3)).toEqual({ seconds: 2, tokensPerSecond: 30 });
  expect([engine.idleShare, engine.memoryBytes]).toEqual([0.25, 3000]);
});

test("what is put before the command is run before it", async () => {
  const engine = await started({ scheduling: { ...scheduling, prefix: ["nice", "-n", "1"] } });
  expect(await engine.measure(prompt(8), 0, 1)).toMatchObject({ tokensPerSecond: 10 });
});

test("an engine that cannot open says why", async () => {
  await expect(EngineProcess.start(specOf("missing"), { scheduling, script })).rejects.toMatchObject({
    message: "no such weights",
    code: "CHECKPOINT",
  });
});

test("a measurement that fails leaves the engine as it was", async () => {
  const engine = await started();
  await expect(engine.measure(prompt(1), 0, 1)).rejects.toMatchObject({ code: "OUT_OF_MEMORY" });
  expect(await engine.measure(prompt(8), 0, 1)).toMatchObject({ tokensPerSecond: 10 });
});

test("a process that ends by itself is told with its last words", async () => {
  const engine = await started();
  await expect(engine.measure(prompt(2), 0, 1)).rejects.toThrow(/ended with code 7.*made up/s);
});

test("an abort ends the process that does not answer", async () => {
  const controller = new AbortController();
  const engine = await started({ signal: controller.signal });
  const measuring = engine.measure(prompt(3), 0, 1);
  controller.abort();
  await expect(measuring).rejects.toMatchObject({ name: "AbortError" });
  await expect(engine.measure(prompt(8), 0, 1)).rejects.toMatchObject({ name: "AbortError" });
  await engine.close(); // returns once it is gone
});

test("the scheduling class is one of two, and the ordinary one puts nothing before a command", () => {
  const { name, prefix } = findScheduling();
  expect(name === "SCHED_OTHER" ? prefix : prefix.at(-1)).toEqual(name === "SCHED_OTHER" ? [] : "1");
  expect(["SCHED_OTHER", "SCHED_RR 1"]).toContain(name);
});

test("a process that is killed points at memory", async () => {
  const engine = await started();
  await expect(engine.measure(prompt(4), 0, 1)).rejects.toThrow(/ended by SIGKILL.*where memory runs out/);
});
