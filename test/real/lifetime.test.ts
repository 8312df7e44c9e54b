import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { afterAll, beforeAll, expect, test } from "vitest";
import { addon } from "../../src/native/binding.ts";
import { builtMain, tiny } from "../cli/cli-process.ts";
import { root } from "../needs.ts";
import { decode, planOf, withModel, withSequence } from "./native-model.ts";

/** Each in a process of its own, so that memory is its own and a crash is seen: test/real/children/. */
const addonPath = process.env.MINICPM_BINARY || join(root, "build/Release/minicpm.node");
const child = (name: string) => join(root, "test/real/children", name);

let folder = "";
let plan = "";
beforeAll(() => {
  builtMain(); // the children import from dist/
  folder = mkdtempSync(join(tmpdir(), "minicpm-lifetime-"));
  plan = join(folder, "plan.json");
  writeFileSync(plan, JSON.stringify(planOf(tiny, { threads: 2 })));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function run(name: string, ...words: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    "--expose-gc",
    child(name),
    addonPath,
    plan,
    ...words,
  ]);
  return stdout.trim();
}

test("10,000 sequences come and go: native bytes as before, exactly, and RSS flat", {
  timeout: 300_000,
}, async () => {
  const cycles = 10_000;
  const { before, after, end } = JSON.parse(await run("cycles.mjs", "sequence", "1000", String(cycles)));
  expect(after.native).toEqual(before.native);
  expect((after.rss - before.rss) / cycles).toBeLessThan(1024);
  expect(end).toEqual({ allocated: 0, mapped: 0 });
});

test("500 models come and go: no native byte stays, and RSS is flat", { timeout: 300_000 }, async () => {
  const cycles = 500;
  const { before, after } = JSON.parse(await run("cycles.mjs", "model", "100", String(cycles)));
  expect(before.native).toEqual({ allocated: 0, mapped: 0 });
  expect(after.native).toEqual({ allocated: 0, mapped: 0 });
  // Threads' stacks and arenas come and go with each model: 4 KiB a cycle is noise, a leaked model is 200.
  expect((after.rss - before.rss) / cycles).toBeLessThan(16 * 1024);
});

test("what nobody disposes of is freed by the garbage collector", async () => {
  const { held, end } = JSON.parse(await run("dropped.mjs", "5"));
  expect(held.allocated).toBeGreaterThan(0);
  expect(end).toEqual({ allocated: 0, mapped: 0 });
});

test.each(["sequence", "model"])("dispose of the %s during a decode ends it as cancelled", async (what) => {
  expect(await run("interrupted.mjs", what)).toBe("survived");
});

test("methods called on objects of another class are TypeErrors", async () => {
  expect(await run("foreign-this.mjs")).toBe("[]");
});

test("the process can exit in the middle of a decode", async () => {
  expect(await run("interrupted.mjs", "exit")).toBe("survived");
});

test("an uncaught error in the middle of a decode is reported, not crashed over", async () => {
  const failed = run("interrupted.mjs", "throw");
  await expect(failed).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining("on purpose") });
});

function startWorker(data: Record<string, unknown>): Worker {
  const workerData = { addonPath, prompt: Int32Array.of(1, 8, 30, 12), count: 100, ...data };
  return new Worker(child("worker.mjs"), { workerData });
}

function message(worker: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}

test("two models in two worker threads make the tokens that one makes alone", async () => {
  const alone = await withModel(tiny, {}, (model) =>
    withSequence(model, 1024, async (sequence) => {
      await sequence.prefill(Int32Array.of(1, 8, 30, 12));
      return decode(sequence, 100);
    }),
  );
  const workers = [1, 2].map((threads) => startWorker({ plan: planOf(tiny, { threads }) }));
  const made = await Promise.all(workers.map(message));
  await Promise.all(workers.map((worker) => worker.terminate()));
  expect(made).toEqual([[...alone], [...alone]]);
});

test("a worker thread can be terminated in the middle of a decode", async () => {
  const before = addon().nativeBytes();
  for (let round = 0; round < 5; ++round) {
    const worker = startWorker({ plan: planOf(tiny, { threads: 2 }), hang: true });
    expect(await message(worker)).toBe("decoding");
    await worker.terminate();
  }
  expect(addon().nativeBytes()).toEqual(before);
});
