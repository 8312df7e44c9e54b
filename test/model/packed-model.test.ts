import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { openCheckpoint } from "../../src/model/load.ts";
import { addon } from "../../src/native/binding.ts";
import { publicError } from "../../src/native/error-table.ts";
import { quantize } from "../../src/quantize/quantize.ts";
import { nano, testNative as test } from "../cli/cli-process.ts";
import { planOf } from "../real/native-model.ts";

let folder = "";
let packed = "";
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "minicpm-packed-"));
  packed = join(folder, "packed");
  // Without the addon, every test below skips.
  await quantize(nano, packed, { format: "w4", group: 128, method: "rtn" }).catch((error) => {
    if (error.code !== "ADDON_NOT_FOUND") throw error;
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

interface Header {
  __metadata__: Record<string, string>;
  [tensor: string]: Entry | Record<string, string>;
}

const embed = "model.embed_tokens.weight";
const q = "model.layers.0.self_attn.q_proj.weight";

/** The packed folder with another header, `shift` bytes longer, and with other bytes behind it. */
function changed(
  name: string,
  change: (header: Header) => void,
  bytes = (data: Buffer) => data,
  shift = 0,
): string {
  const path = join(folder, name);
  mkdirSync(path);
  copyFileSync(join(packed, "config.json"), join(path, "config.json"));
  const file = readFileSync(join(packed, "model.safetensors"));
  const length = Number(file.readBigUInt64LE());
  const header = JSON.parse(file.toString("utf8", 8, 8 + length)) as Header;
  change(header);
  const text = Buffer.from(JSON.stringify(header).padEnd(length + shift));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(
    join(path, "model.safetensors"),
    Buffer.concat([prefix, text, bytes(file.subarray(8 + length))]),
  );
  return path;
}

const metadata = (field: string, value: string) => (header: Header) => {
  header.__metadata__[`minicpm.${field}`] = value;
};
const entry = (change: (tensor: Entry) => void) => (header: Header) => change(header[q] as Entry);

test("an unchanged copy opens", () => {
  expect(openCheckpoint(changed("unchanged", () => {})).packed).toMatchObject({ format: "w4", group: 128 });
});

test.each<[string, (header: Header) => void, string, RegExp]>([
  ["another version", metadata("packed", "2"), "minicpm.packed", /expected 1, found "2"/],
  ["another layout", metadata("layout", "7"), "minicpm.layout", /expected 1, found "7"/],
  ["an unknown format", metadata("format", "w5"), "minicpm.format", /w8 or w4 or w2, found "w5"/],
  ["an unknown group", metadata("group", "48"), "minicpm.group", /32 or 64 or 128, found "48"/],
  ["another group", metadata("group", "32"), embed, /expected U8 \[128, 4352\].*found U8 \[128, 4160\]/],
  ["another format", metadata("format", "w2"), q, /\(w2 \[256, 256\]\), found U8/],
  ["no source", (header) => delete header.__metadata__["minicpm.source"], "minicpm.source", /found nothing/],
  ["another type", entry((tensor) => Object.assign(tensor, { dtype: "I8" })), q, /found I8/],
  ["another shape", entry((tensor) => tensor.shape.reverse()), q, /found U8 \[2112, 16\]/],
  [
    "an overlap",
    entry((tensor) => {
      tensor.data_offsets = [tensor.data_offsets[0] - 64, tensor.data_offsets[1] - 64];
    }),
    q,
    /overlap with the tensor before/,
  ],
])("%s is refused, naming file and place", (name, change, tensor, reason) => {
  const path = changed(name, change);
  const file = join(path, "model.safetensors");
  const found = catching(() => openCheckpoint(path));
  expect(found).toMatchObject({ code: "CHECKPOINT", file, tensor });
  expect(found).toHaveProperty("message", expect.stringMatching(reason));
});

test("a file that was cut is refused", () => {
  const path = changed(
    "cut",
    () => {},
    (data) => data.subarray(0, data.length - 100),
  );
  expect(catching(() => openCheckpoint(path))).toMatchObject({ code: "CHECKPOINT" });
});

test("matrices that do not begin at a multiple of 64 bytes are refused", () => {
  const path = changed("shifted", () => {}, undefined, 8);
  const found = catching(() => openCheckpoint(path));
  expect(found).toMatchObject({ code: "CHECKPOINT", tensor: embed, message: /multiple of 64/ });
});

test("native code refuses a plan whose packed matrix is not inside its file, or not aligned", async () => {
  const plan = planOf(packed);
  const { "layers.0.attn.q": weight } = plan.weights;
  for (const offset of [(weight?.offset ?? 0) + 4, (plan.files[0]?.bytes ?? 0) - 64]) {
    const weights = { ...plan.weights, "layers.0.attn.q": { ...weight, offset } } as typeof plan.weights;
    const pack = { format: "w4", group: 128 } as const;
    const error = await addon()
      .loadModel({ ...plan, pack, weights })
      .catch(publicError);
    expect(error).toMatchObject({ code: "CHECKPOINT", tensor: "layers.0.attn.q" });
  }
});

function catching(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}
