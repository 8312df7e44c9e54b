/** The whole of standard input as text. */
import { UsageError } from "./failure.ts";

/** @throws UsageError where stdin is a terminal: nobody has said what to read. */
export async function readStdin(): Promise<string> {
  if (process.stdin.isTTY)
    throw new UsageError("There is no text: give it as an argument or through a pipe.");
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}
