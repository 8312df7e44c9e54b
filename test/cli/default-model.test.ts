/** Which model a command takes that names none, in homes of its own. */
import { cpSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { scratchFolder } from "../scratch-folder.ts";
import { minicpm, testNative, tiny } from "./cli-process.ts";
import { PseudoTerminal, testTerminal } from "./pseudo-terminal.ts";

const base = scratchFolder();
let homes = 0;

/** A new user's folders, with tiny models under these names: `ORG/NAME` in the Hugging Face cache, others on a shelf. */
function home(...models: readonly string[]) {
  const folder = join(base, String(homes++));
  const shelf = join(folder, "shelf");
  mkdirSync(shelf, { recursive: true });
  for (const name of models) {
    const cached = `hf/hub/models--${name.replace("/", "--")}/snapshots/0123abc`;
    cpSync(tiny, name.includes("/") ? join(folder, cached) : join(shelf, name), { recursive: true });
  }
  const env = {
    HOME: folder,
    HF_HOME: join(folder, "hf"),
    MINICPM_MODELS: shelf,
    XDG_STATE_HOME: join(folder, "state"),
    XDG_CACHE_HOME: join(folder, "cache"),
  };
  return { folder, shelf, env, last: join(folder, "state/minicpm/last-model.json") };
}

const say = ["-p", "hi", "--max-tokens", "2", "--verbose"];

testNative("with no other model it is nano, which is not kept as the one used last", async () => {
  const { env, last } = home();
  const { code, err } = await minicpm(["chat", ...say], { env });
  expect(code).toBe(0);
  expect(err).toMatch(/^nano: .*hf download openbmb\/MiniCPM4-0\.5B/);
  expect(() => readFileSync(last)).toThrow("ENOENT");
});

testNative.each([["mine"], ["org/name"]])("the only model is taken and told: %s", async (name) => {
  const { env } = home(name);
  const { err } = await minicpm(["chat", ...say], { env });
  expect(err).toContain(`${name}, the only model in MINICPM_MODELS and the Hugging Face cache`);
  expect(err).toMatch(new RegExp(`^${name.replace(/.*\//, "")}: MiniCPMForCausalLM`, "m"));
});

testNative("of several without a terminal, the error lists them", async () => {
  const { env } = home("one", "two", "org/name");
  const { code, out, err } = await minicpm(["chat"], { env, input: "hi\n" });
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err).toBe("error: Several models are here, name one of them: one, two, org/name.\n");
});

testNative("the model used last is taken, whatever else is there, until it is gone", async () => {
  const { env, shelf, last } = home("one", "two");
  await minicpm(["run", "two", "hi", "--max-tokens", "1"], { env });
  expect(statSync(last).mode & 0o777).toBe(0o600);
  const again = await minicpm(["chat", ...say], { env });
  expect(again.err).toContain(`${join(shelf, "two")}, the model used last.`);
  expect((await minicpm(["inspect", "--json"], { env })).out).toContain('"name":"two"');
  rmSync(join(shelf, "two"), { recursive: true });
  const gone = await minicpm(["chat", ...say], { env });
  expect(gone.err).toContain(`The model used last is gone: ${join(shelf, "two")}.`);
  expect(gone.err).toContain("one, the only model");
});

testNative("--no-history does not keep which model it was, and a damaged file counts as none", async () => {
  const { env, last, folder } = home();
  await minicpm(["chat", "tiny", ...say, "--no-history"], { env });
  expect(() => readFileSync(last)).toThrow("ENOENT");
  mkdirSync(join(folder, "state/minicpm/last-model.json"), { recursive: true });
  const { code, err } = await minicpm(["chat", ...say], { env });
  expect(code).toBe(0);
  expect(err).toMatch(/^nano: /);
});

testNative("ORG/NAME and names on the shelf are models to every command", async () => {
  const { env } = home("org/name", "mine");
  for (const name of ["org/name", "mine"]) {
    expect((await minicpm(["tokenize", name, "a"], { env })).code).toBe(0);
    const { out } = await minicpm(["run", name, "hi", "--max-tokens", "2", "--temperature", "0"], { env });
    expect(out).not.toBe("");
  }
});

testTerminal("of several on a terminal, it asks", async () => {
  const { env } = home("one", "two");
  const terminal = new PseudoTerminal(["chat", "--max-tokens", "1"], env);
  await terminal.waitFor("Which one (1 to 2)? ");
  terminal.type("7\r");
  await terminal.waitFor("Which one (1 to 2)? ");
  terminal.type("2\r");
  await terminal.waitFor("> ");
  terminal.type("/bye\r");
  expect(await terminal.exit()).toBe(0);
  const { err } = await minicpm(["chat", ...say], { env });
  expect(err).toContain("two, the model used last.");
});

testTerminal("Ctrl-C at the question leaves with 130", async () => {
  const terminal = new PseudoTerminal(["chat"], home("one", "two").env);
  await terminal.waitFor("Which one (1 to 2)? ");
  terminal.type("\x03");
  expect(await terminal.exit()).toBe(130);
});

test("--help says which model it is where none is named", async () => {
  for (const command of ["chat", "read", "inspect", "bench"]) {
    const { out } = await minicpm([command, "--help"]);
    expect(out.replace(/\s+/g, " ")).toContain("the one used last, else the only one found, else the nano");
  }
});
