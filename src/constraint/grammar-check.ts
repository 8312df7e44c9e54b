/** Tries grammars in a thread of their own: the engine may abort on a bad one, or never come back from a hostile one. */
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { ConstraintError } from "../errors.ts";

const workerPath = fileURLToPath(new URL("../../dist/engines/check-grammar.cjs", import.meta.url));

/** Milliseconds; the engine reads a grammar of everyday size in a fraction of a second. */
const mostTime = 5_000;
/** Characters that a grammar may come to when its repetitions are written out. */
const mostLength = 1 << 20;

type Found = { readonly length: number } | { readonly error: string };

/** @throws ConstraintError with the engine's own words where it cannot read the grammar, or takes too long. */
export async function checkGrammar(tags: object): Promise<void> {
  const worker = new Worker(workerPath, {
    workerData: { tags },
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: 512 },
  });
  let said = "";
  worker.stderr.on("data", (text) => {
    said += text;
  });
  worker.stdout.resume();
  const timer = { stop: () => {} };
  try {
    const found = await Promise.race([
      new Promise<Found>((resolve) => {
        worker.once("message", resolve);
        worker.once("error", (error: Error) => resolve({ error: error.message }));
        worker.once("exit", () => resolve({ error: "its engine gave up" }));
      }),
      new Promise<Found>((resolve) => {
        const timeout = setTimeout(
          () => resolve({ error: `it takes more than ${mostTime / 1000} s to read` }),
          mostTime,
        );
        timer.stop = () => clearTimeout(timeout);
      }),
    ]);
    if ("error" in found) throw new ConstraintError("grammar", told(said) ?? found.error.replace(/\.$/, ""));
    if (found.length > mostLength) throw new ConstraintError("grammar", "its repetitions are too many");
  } finally {
    timer.stop();
    await worker.terminate();
  }
}

/** The engine's complaint, without where in its source it stands. */
function told(said: string): string | undefined {
  return /\[FATAL\] [^ ]+: (.*)/
    .exec(said)?.[1]
    ?.replace(/^Check failed: \(.*?\) is false: /, "")
    .replace(/\.$/, "");
}
