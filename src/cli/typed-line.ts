/** Reads a line now and then from a terminal, in a command that is no conversation. */
import { createInterface } from "node:readline/promises";
import type { Line } from "./line-source.ts";

export class TypedLine implements Disposable {
  private reader: ReturnType<typeof createInterface> | undefined;

  async read(prompt: string): Promise<Line> {
    const reader = createInterface({ input: process.stdin, output: process.stderr });
    this.reader = reader;
    const left = new Promise<Line>((resolve) => {
      reader.once("SIGINT", () => resolve({ type: "interrupt", empty: true }));
      reader.once("close", () => resolve({ type: "end" }));
    });
    const typed = reader.question(prompt).then((text): Line => ({ type: "line", text, typed: text }));
    try {
      return await Promise.race([typed, left]);
    } finally {
      reader.close();
    }
  }

  [Symbol.dispose](): void {
    this.reader?.close();
  }
}
