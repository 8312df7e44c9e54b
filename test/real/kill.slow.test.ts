/**
 * kill -9 at random moments of save, cache write, read and quantize: what was saved before still loads, nothing half-written ever
 * does. MINICPM_KILLS says how often (`npm run test:kill`: 200).
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { withDocuments } from "../../src/cli/documents.ts";
import { loadModel } from "../../src/index.ts";
import { openCheckpoint } from "../../src/model/load.ts";
import { builtMain, childEnvironment, testNative } from "../cli/cli-process.ts";
import { root } from "../needs.ts";
import { randomNumbers } from "../random-numbers.ts";
// @ts-expect-error plain JavaScript, for the child too
import { textOf } from "./children/texts.mjs";

const kills = Number(process.env.MINICPM_KILLS ?? 10);
const keeper = join(root, "test/real/children/keeper.mjs");

/** Runs the keeper until `ms` after it is ready, then kills it. @returns the lines it told */
function keepFor(ms: number, words: readonly string[]): Promise<string[]> {
  builtMain();
  const child = spawn(process.execPath, [keeper, ...words], { stdio: ["ignore", "pipe", "inherit"] });
  let told = "";
  let waiting = false;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    told += text;
    if (waiting) return;
    waiting = true;
    setTimeout(() => child.kill("SIGKILL"), ms);
  });
  return new Promise((resolve, reject) => {
    child.on("close", (_, signal) => {
      if (signal === "SIGKILL") resolve(told.split("\n").slice(0, -1));
      else reject(new Error(`The keeper ended by itself after ${JSON.stringify(told)}`));
    });
  });
}

/** Runs `minicpm WORDS...` with its cache in `cache`, and kills it after `ms` unless it has ended. @returns its ms */
function runFor(ms: number, words: readonly string[], cache?: string): Promise<number> {
  const main = builtMain();
  const start = performance.now();
  const child = spawn(process.execPath, [main, ...words], {
    env: childEnvironment(cache === undefined ? {} : { XDG_CACHE_HOME: cache }),
    stdio: ["ignore", "ignore", "inherit"],
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), ms);
  return new Promise((resolve, reject) => {
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (code === 0 || signal === "SIGKILL") resolve(performance.now() - start);
      else reject(new Error(`minicpm ${words[0]} ended with ${code}`));
    });
  });
}

/** Reads a file into the cache. */
function readFor(ms: number, file: string, folder: string): Promise<number> {
  return runFor(ms, ["read", file, "-m", "tiny", "-q"], folder);
}

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "minicpm-kill-"));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

testNative(`a session survives ${kills} kills while it is saved, with all its blocks`, () =>
  inFolder(async (folder) => {
    const random = randomNumbers(1);
    const talk = join(folder, "talk");
    await using model = await loadModel("tiny", { cacheBytes: 0 });
    let saved = 0;
    for (let kill = 0; kill < kills; kill++) {
      const told = await keepFor(300 * random(), ["save", folder, "0"]);
      saved += told.filter((line) => line.startsWith("saved ")).length;
      if (saved === 0) continue; // never saved: nothing to lose
      let last = { cached: 0, total: 0 };
      await using session = await model.loadSession(talk, {
        onProgress: (progress) => {
          last = progress;
        },
      });
      expect(session.messages[0]?.content).toBe(textOf(0));
      expect(session.messages.length % 2).toBe(1);
      expect(last.total).toBeGreaterThan(64);
      expect(last.cached).toBe(Math.floor((last.total - 1) / 64) * 64);
      const next = await session.send("And?", { temperature: 0, maxTokens: 8 });
      expect(next.usage.cached).toBeGreaterThan(0);
    }
    expect(saved).toBeGreaterThan(0);
  }),
);

testNative(`what was read survives ${kills} kills, and no half of a block is taken for a whole one`, () =>
  inFolder(async (folder) => {
    const random = randomNumbers(2);
    const read = new Set<number>();
    for (let kill = 0; kill < kills; kill++) {
      const told = await keepFor(200 * random(), ["read", folder, String(1000 * kill)]);
      for (const line of told) if (line.startsWith("read ")) read.add(Number(line.slice(5)));
    }
    expect(read.size).toBeGreaterThan(0);
    await using model = await loadModel("tiny", { cacheBytes: 0, cacheDir: join(folder, "cache") });
    await using plain = await loadModel("tiny", { cacheBytes: 0 });
    for (const [index, text] of [...read].entries()) {
      const messages = [{ role: "system", content: textOf(text) } as const];
      const { total, cached } = await model.read(messages);
      expect(cached).toBe(Math.floor((total - 1) / 64) * 64);
      if (index % 50 > 0) continue;
      const ask = [...messages, { role: "user", content: "Well?" } as const];
      const options = { temperature: 0, maxTokens: 16, ignoreEos: true };
      expect((await model.chat(ask, options)).text).toBe((await plain.chat(ask, options)).text);
    }
    expect(model.cacheStatus()).toMatchObject({ wrong: 0, problem: "" });
    const names = readdirSync(join(folder, "cache"), { recursive: true, encoding: "utf8" });
    expect(names.filter((name) => name.endsWith(".kv")).length).toBeGreaterThanOrEqual(read.size);
  }),
);

testNative(`minicpm read, killed ${kills} times, leaves nothing that answers are not the same from`, () =>
  inFolder(async (folder) => {
    const random = randomNumbers(3);
    const fileOf = (text: number) => join(folder, `${text}.txt`);
    for (let text = 0; text <= kills; text++) writeFileSync(fileOf(text), textOf(text));
    const whole = await readFor(60_000, fileOf(kills), folder);
    for (let text = 0; text < kills; text++) await readFor(whole * random(), fileOf(text), folder);

    const cacheDir = join(folder, "minicpm", "blocks");
    await using model = await loadModel("tiny", { cacheBytes: 0, cacheDir });
    await using plain = await loadModel("tiny", { cacheBytes: 0 });
    for (let text = 0; text <= kills; text++) {
      const messages = [{ role: "system", content: withDocuments([fileOf(text)]) ?? "" } as const];
      const { total, cached } = await model.read(messages);
      expect(cached % 64).toBe(0);
      if (text === kills) expect(cached).toBe(Math.floor((total - 1) / 64) * 64);
      if (text % 10 > 0) continue;
      const ask = [...messages, { role: "user", content: "Well?" } as const];
      const options = { temperature: 0, maxTokens: 16, ignoreEos: true };
      expect((await model.chat(ask, options)).text).toBe((await plain.chat(ask, options)).text);
    }
    expect(model.cacheStatus()).toMatchObject({ wrong: 0, problem: "" });
  }),
);

testNative(
  `minicpm quantize, killed ${kills} times, leaves nothing that loads, and ends with the same bytes each time`,
  () =>
    inFolder(async (folder) => {
      const random = randomNumbers(4);
      const text = join(folder, "text.txt");
      writeFileSync(text, Array.from({ length: 60 }, (_, i) => textOf(i)).join("\n"));
      const how = [
        "--format",
        "w4",
        "--method",
        "gptq",
        "--calibration",
        text,
        "--calibration-tokens",
        "3072",
      ];
      const run = (out: string, ms: number) =>
        runFor(ms, ["quantize", "nano", join(folder, out), ...how, "-q"]);
      const whole = await run("whole", 600_000);
      const weightsIn = (out: string) => readFileSync(join(folder, out, "model.safetensors"));
      const [out, left] = [join(folder, "out"), join(folder, "out.unfinished")];
      const expectWhole = () => {
        expect(weightsIn("out").equals(weightsIn("whole"))).toBe(true);
        expect(readdirSync(out).sort()).toEqual(readdirSync(join(folder, "whole")).sort());
        expect(readdirSync(folder).filter((name) => name.startsWith("out"))).toEqual(["out"]);
        rmSync(out, { recursive: true });
      };
      let killed = 0;
      while (killed < kills) {
        await run("out", whole * random());
        if (existsSync(out)) {
          expectWhole();
          continue;
        }
        killed++;
        // Its config is written last: what can be opened is whole.
        if (existsSync(join(left, "config.json"))) {
          expect(weightsIn("out.unfinished").equals(weightsIn("whole"))).toBe(true);
        } else if (existsSync(left)) {
          expect(() => openCheckpoint(left)).toThrow();
        }
      }
      await run("out", 600_000);
      expectWhole();
    }),
);
