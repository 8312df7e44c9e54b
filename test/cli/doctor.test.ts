import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { scratchFolder } from "../scratch-folder.ts";
import { minicpm, nano, testNative } from "./cli-process.ts";

const folder = scratchFolder();

testNative("doctor finds the addon, the processor and the models, exit code 0", async () => {
  const { code, out } = await minicpm(["doctor"]);
  expect(code).toBe(0);
  expect(out).toMatch(/addon +\S+minicpm\.node \(loads\)/);
  expect(out).toMatch(/instructions +.*baseline/);
  expect(out).toMatch(/memory +\S+ GiB free of/);
  expect(out).toMatch(/nano \(safetensors\)/);
  expect(out).toMatch(/NO_COLOR +not set/);
});

test("an addon that is not there is a problem with its remedy, exit code 1", async () => {
  const env = { MINICPM_BINARY: "/nowhere/minicpm.node" };
  const { code, out, err } = await minicpm(["doctor", "--json"], { env });
  const diagnosis = JSON.parse(out);
  expect({ code, err, ok: diagnosis.ok }).toEqual({ code: 1, err: "", ok: false });
  expect(diagnosis.addon).toEqual({ path: "/nowhere/minicpm.node", loaded: false });
  expect(diagnosis.environment.MINICPM_BINARY).toBe("/nowhere/minicpm.node");
  expect(diagnosis.problems[0]).toMatchObject({
    fatal: true,
    remedy: expect.stringMatching(/npm run build/),
  });
});

testNative("an instruction set that the machine lacks is a problem", async () => {
  const { code, out } = await minicpm(["doctor"], { env: { MINICPM_CPU: "avx9000" } });
  expect(code).toBe(1);
  expect(out).toMatch(/MINICPM_CPU is "avx9000"/);
});

test("models in MINICPM_MODELS and in the Hugging Face cache are found", async () => {
  const shelf = join(folder, "shelf");
  const snapshots = join(folder, "hf/hub/models--org--name/snapshots");
  mkdirSync(shelf);
  mkdirSync(snapshots, { recursive: true });
  symlinkSync(nano, join(shelf, "mine"));
  symlinkSync(nano, join(snapshots, "0123abc"));
  const env = { MINICPM_MODELS: shelf, HF_HOME: join(folder, "hf") };
  const { out } = await minicpm(["doctor", "--json"], { env });
  const references = JSON.parse(out).models.map(({ reference }: { reference: string }) => reference);
  expect(references).toContain("mine");
  expect(references).toContain("org/name");
});

test("a MINICPM_MODELS that is not there is told, and is no reason to fail", async () => {
  const { out } = await minicpm(["doctor", "--json"], { env: { MINICPM_MODELS: "/nowhere" } });
  const [problem] = JSON.parse(out).problems.filter(({ what }: { what: string }) =>
    /MINICPM_MODELS/.test(what),
  );
  expect(problem).toMatchObject({ fatal: false });
});
