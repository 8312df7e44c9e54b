import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { scratchFolder } from "../scratch-folder.ts";
import { builtMain, childEnvironment, minicpm, nano, testNative, tiny } from "./cli-process.ts";

const folder = scratchFolder();

testNative("quantize writes a folder that answers as --pack does", async () => {
  const words = ["quantize", nano, "packed", "--format", "w8", "--group", "32", "--method", "rtn", "--json"];
  const { code, out } = await minicpm(words, { cwd: folder });
  expect(code).toBe(0);
  const report = JSON.parse(out);
  expect(report).toMatchObject({ path: join(folder, "packed"), format: "w8", group: 32 });
  expect(report.bytes).toBeLessThan(report.sourceBytes);

  const ask = ["Tell me about a dog.", "--temperature", "0", "--max-tokens", "16"];
  const packed = await minicpm(["run", join(folder, "packed"), ...ask]);
  const atLoad = await minicpm(["run", nano, "--pack", "w8", "--pack-group", "32", ...ask]);
  expect(packed).toEqual(atLoad);
  expect(packed.out).not.toBe("");

  const inspected = await minicpm(["inspect", join(folder, "packed")]);
  expect(inspected.out).toMatch(
    /^packed +w8 in groups of 32, head and embedding w8, from nano \([0-9a-f]{32}\)/m,
  );
});

testNative(
  "quantize by GPTQ tells how the answers have changed, and the folder comes back as plain weights",
  async () => {
    const calibration = join(folder, "text.txt");
    writeFileSync(calibration, "The dog runs to the river, and the cat sleeps. ".repeat(300));
    const how = [
      "--format",
      "w4",
      "--method",
      "gptq",
      "--calibration",
      calibration,
      "--calibration-tokens",
      "2560",
    ];
    const { code, out } = await minicpm(["quantize", nano, "by-gptq", ...how], { cwd: folder });
    expect(code).toBe(0);
    expect(out).toMatch(
      /by-gptq: w4 in groups of 128 by gptq, .*\nPerplexity [\d.]+ before, [\d.]+ after; KL divergence/,
    );

    const plain = await minicpm(["dequantize", "by-gptq", "plain", "--type", "F32", "--json"], {
      cwd: folder,
    });
    expect(JSON.parse(plain.out)).toMatchObject({ path: join(folder, "plain"), type: "F32" });
    const ask = ["Tell me about a dog.", "--temperature", "0", "--max-tokens", "16"];
    const packed = await minicpm(["run", join(folder, "by-gptq"), "--activations", "f32", ...ask]);
    expect((await minicpm(["run", join(folder, "plain"), ...ask])).out).toBe(packed.out);
  },
);

test("a calibration text that is not there is told, exit code 2", async () => {
  const { code, err } = await minicpm([
    "quantize",
    nano,
    join(folder, "none"),
    "--method",
    "gptq",
    "--calibration",
    "no-such-file",
  ]);
  expect(code).toBe(2);
  expect(err).toMatch(/no-such-file cannot be read: there is no such file/);
});

test.each([
  ["--calibration", "text.txt"],
  ["--calibration-tokens", "4096"],
])("%s, which rounding to nearest has no use for, is refused, exit code 2", async (...words) => {
  const { code, err } = await minicpm(["quantize", nano, join(folder, "none"), ...words]);
  expect(code).toBe(2);
  expect(err).toMatch(/go with --method gptq or p-gptq/);
});

testNative("a second rounding is refused as bad usage", async () => {
  const out = join(folder, "twice");
  await minicpm(["quantize", nano, out, "--method", "rtn", "-q"]);
  const { code, err } = await minicpm(["run", out, "Hello", "--pack", "w8"]);
  expect(code).toBe(2);
  expect(err).toMatch(/packed already \(w4, groups of 128\)/);
});

testNative("a disk that takes no more is told, and nothing stays", () => {
  const words = [
    "-c",
    'ulimit -f 1000; exec "$0" "$@"',
    process.execPath,
    builtMain(),
    "quantize",
    nano,
    "limited",
    "--method",
    "rtn",
  ];
  const { status, stderr } = spawnSync("bash", words, {
    cwd: folder,
    env: childEnvironment(),
    encoding: "utf8",
  });
  expect(status).toBe(1);
  expect(stderr).toMatch(/limited could not be written: EFBIG.*Free space or take another place/);
  expect(readdirSync(folder).filter((name) => name.startsWith("limited"))).toEqual([]);
});

test("what cannot be packed is told, and nothing is written", async () => {
  const out = join(folder, "tiny");
  const { code, err } = await minicpm(["quantize", tiny, out, "--json"]);
  expect(code).toBe(1);
  expect(JSON.parse(err).error).toMatchObject({ code: "UNSUPPORTED" });
  expect(existsSync(out)).toBe(false);
});

test.each([
  [["--format", "w3"], /Allowed choices are w8, w4, w2/],
  [["--group", "48"], /has to be 32 or 64 or 128/],
  [[], /OUT must be a folder that is not there yet/],
])("quantize onto what is there, %j, is refused, exit code 2", async (words, reason) => {
  const { code, err } = await minicpm(["quantize", nano, folder, ...words]);
  expect(code).toBe(2);
  expect(err).toMatch(reason);
  expect(readdirSync(folder).some((name) => name.endsWith(".unfinished"))).toBe(false);
});
