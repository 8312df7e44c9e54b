/** A program on a terminal of its own, by util-linux's `script` or python3's `pty`; a test types and reads. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { type TestAPI, test } from "vitest";
import { addonFile, builtMain, childEnvironment, testNative } from "./cli-process.ts";

const makers: readonly {
  readonly probe: readonly string[];
  readonly command: (words: readonly string[]) => string[];
}[] = [
  {
    // BSD's and macOS' script knows no --version
    probe: ["script", "--version"],
    command: (words) => ["script", "-qefc", words.map(shellQuoted).join(" "), "/dev/null"],
  },
  {
    probe: ["python3", "-c", "import pty"],
    command: (words) => [
      "python3",
      "-c",
      "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))",
      ...words,
    ],
  },
];

const maker = makers.find(({ probe: [program = "", ...words] }) => spawnSync(program, words).status === 0);

/** Tests that type into a chat. */
export const testTerminal: TestAPI =
  maker || !existsSync(addonFile)
    ? testNative
    : (((name: string) =>
        test.skip(`${name}: needs script (util-linux) or python3 for a pseudo-terminal`, () => {})) as unknown as TestAPI);

export class PseudoTerminal {
  /** Everything shown so far, escape sequences and all. */
  shown = "";
  /** Where `waitFor` goes on looking. */
  private seen = 0;
  private readonly child;
  private readonly ended: Promise<number | null>;
  private wake = () => {};

  /** Starts `minicpm WORDS...` on a terminal. */
  constructor(words: readonly string[], env: Readonly<Record<string, string | undefined>> = {}) {
    const [program = "", ...rest] = maker?.command([process.execPath, builtMain(), ...words]) ?? [];
    this.child = spawn(program, rest, {
      env: { ...childEnvironment(), TERM: "xterm-256color", ...env },
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.shown += text;
      this.wake();
    });
    this.child.stdin.on("error", () => {});
    this.ended = new Promise((resolve) => {
      this.child.on("close", (code) => {
        resolve(code);
        this.wake();
      });
    });
  }

  type(keys: string): void {
    this.child.stdin.write(keys);
  }

  /** Waits until `text` is shown after what was waited for before. @returns what was shown up to it */
  async waitFor(text: string | RegExp, timeoutMs = 30_000): Promise<string> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const rest = this.shown.slice(this.seen);
      const found = typeof text === "string" ? rest.indexOf(text) : rest.search(text);
      if (found >= 0) {
        const length = typeof text === "string" ? text.length : (text.exec(rest)?.[0].length ?? 0);
        this.seen += found + length;
        return rest.slice(0, found + length);
      }
      const left = deadline - Date.now();
      if (left <= 0 || this.child.exitCode !== null) {
        throw new Error(`${text} was not shown. Shown since: ${JSON.stringify(rest)}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** The exit code of the program. */
  exit(): Promise<number | null> {
    return this.ended;
  }

  /** Ends the program if it still runs. */
  kill(): void {
    this.child.kill("SIGKILL");
  }
}

function shellQuoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
