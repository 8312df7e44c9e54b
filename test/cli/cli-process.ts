/** Runs the built command line in a child process. */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestAPI } from "vitest";
import { root, testNeeding } from "../needs.ts";

export const addonFile = join(root, "build/Release/minicpm.node");
export const nano = join(root, "models/nano");
export const tiny = join(root, "models/tiny");
const main = join(root, "dist/cli/main.js");

/** Tests that run a model. */
export const testNative: TestAPI = testNeeding([addonFile], "npm run build:native");

export interface Run {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  /** What comes through stdin, which is then closed. */
  readonly input?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Called with everything that came on stdout or stderr so far. */
  readonly onOutput?: (output: string, child: ReturnType<typeof spawn>) => void;
}

/** Runs `minicpm WORDS...` to its end. */
export function minicpm(words: readonly string[], options: RunOptions = {}): Promise<Run> {
  const child = spawn(process.execPath, [builtMain(), ...words], {
    cwd: options.cwd ?? tmpdir(),
    env: childEnvironment(options.env),
    stdio: ["pipe", "pipe", "pipe"],
  });
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
    options.onOutput?.(out + err, child);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
    options.onOutput?.(out + err, child);
  });
  child.stdin.on("error", () => {}); // it may end before it has read everything
  child.stdin.end(options.input ?? "");
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, out, err }));
  });
}

let folder = "";

/** Folders for what the program keeps, gone with this process: the user's own stay as they are. */
function ownFolders(): NodeJS.ProcessEnv {
  if (folder === "") {
    folder = mkdtempSync(join(tmpdir(), "minicpm-cli-"));
    process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  }
  return {
    XDG_CACHE_HOME: join(folder, "cache"),
    XDG_STATE_HOME: join(folder, "state"),
    HF_HOME: join(folder, "huggingface"),
  };
}

/** The environment of a child: ours without what changes the program's ways. */
export function childEnvironment(env: RunOptions["env"] = {}): NodeJS.ProcessEnv {
  const { MINICPM_MODELS, MINICPM_BINARY, MINICPM_CPU, HF_HUB_CACHE, NO_COLOR, FORCE_COLOR, ...rest } =
    process.env;
  return { ...rest, ...ownFolders(), ...env };
}

/** dist/cli/main.js, compiled now if it is older than its sources. */
export function builtMain(): string {
  const lock = join(tmpdir(), `minicpm-build-ts-${process.getuid?.() ?? 0}`);
  for (;;) {
    if (!isStale()) return main;
    try {
      mkdirSync(lock);
    } catch {
      // Another test file compiles; a lock that was left behind counts for a minute.
      if (existsSync(lock) && Date.now() - statSync(lock).mtimeMs > 60_000) rmSync(lock, { recursive: true });
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
      continue;
    }
    try {
      compile();
    } finally {
      rmSync(lock, { recursive: true });
    }
  }
}

/** Type errors are `npm run types`' business: what was written out runs. */
function compile(): void {
  try {
    execFileSync(join(root, "node_modules/.bin/tsc"), ["-p", "tsconfig.build.json"], { cwd: root });
  } catch (error) {
    if (isStale()) throw error;
  }
}

function isStale(): boolean {
  if (!existsSync(main)) return true;
  const built = statSync(main).mtimeMs;
  return readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" }).some(
    (name) => name.endsWith(".ts") && statSync(join(root, "src", name)).mtimeMs > built,
  );
}
