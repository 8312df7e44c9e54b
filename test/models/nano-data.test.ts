import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { root, testNeeding } from "../needs.ts";

const recipe = join(root, "models/nano/train");
const python = spawnSync("python3", ["--version"]).status === 0;
const withPython = testNeeding(python ? [] : ["python3"]);

/** Runs Python beside the recipe's modules; -> what it prints. */
function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync("python3", ["-B", ...args], {
    cwd: recipe,
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  expect(status, stderr).toBe(0);
  return stdout;
}

interface Item {
  readonly id: string;
  readonly suite: string;
  readonly messages: { readonly role: string; readonly content: string }[];
  readonly tools: { readonly function: { readonly name: string } }[] | null;
  readonly needle?: { readonly tokens: number; readonly depth: number; readonly keys: number };
}
const items: Item[] = readFileSync(join(root, "models/nano/eval/held-out.jsonl"), "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line));
const toolNames = new Set(items.flatMap(({ tools }) => tools ?? []).map((tool) => tool.function.name));

/** What a user says without case, digits and punctuation. */
const bare = (text: string) => text.toLowerCase().replace(/[^a-z ]/g, "");

/** 3,000 training examples: what their users say, and the names of their tools. */
const training = () =>
  JSON.parse(
    run(
      "-c",
      `
import json, random
from corpus import example
from pools import Pools
from tokenizer import Tokenizer
pieces = Tokenizer("../tokenizer.json").pieces
said, names = [], []
for block in range(60):
    r = random.Random(f"test/{block}")
    pools = Pools(held=False, made_up=r, pieces=pieces)
    for _ in range(50):
        messages, tools = example(r, pools)
        said += [m["content"] for m in messages if m["role"] == "user"]
        names += [tool["function"]["name"] for tool in tools or []]
print(json.dumps({"said": said, "names": names}))`,
    ),
  ) as { said: string[]; names: string[] };

describe("nano's held-out items", () => {
  withPython("are what write_eval.py writes", () => {
    const written = run("write_eval.py");
    expect(written).toBe(readFileSync(join(root, "models/nano/eval/held-out.jsonl"), "utf8"));
  });

  withPython("share no word of a kind with the words of training, made-up ones included", () => {
    const shared = run(
      "-c",
      `
import json, random
from pools import HELD_OUT, KINDS, MADE_UP_KINDS, Pools
from tokenizer import Tokenizer
pieces = Tokenizer("../tokenizer.json").pieces
held, known, both = Pools(held=True), Pools(held=False), []
for kind in KINDS:
    both += set(getattr(held, kind)) & set(getattr(known, kind))
for seed in range(50):
    invented = Pools(held=False, made_up=random.Random(seed), pieces=pieces)
    for kind in MADE_UP_KINDS:
        fresh = getattr(invented, kind)[len(getattr(known, kind)):]
        both += [word for word in fresh if word.lower() in HELD_OUT]
print(json.dumps(both))`,
    );
    expect(JSON.parse(shared)).toEqual([]);
  });

  withPython("ask nothing that training asks, and name no tool that training names", () => {
    const { said, names } = training();
    const asked = new Set(said.map(bare));
    const prompts = items.map(({ messages }) => messages.filter(({ role }) => role === "user").at(-1));
    expect(said.length).toBeGreaterThan(3000);
    expect(prompts.map((last) => bare(last?.content ?? "")).filter((text) => asked.has(text))).toEqual([]);
    expect(names.filter((name) => name !== "get_sum" && toolNames.has(name))).toEqual([]);
  });
});
