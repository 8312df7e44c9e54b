/** A session whose answers are written down beforehand, and a terminal that remembers: for tests of the chat's loop. */
import { ChatLoop, type ChatLoopOptions } from "../../src/cli/chat-loop.ts";
import type { Line, LineSource } from "../../src/cli/line-source.ts";
import { Terminal } from "../../src/cli/terminal.ts";
import {
  AbortError,
  type GenerateOptions,
  type Generation,
  type GenerationEvent,
  type Message,
  type Model,
  type Result,
  type Session,
} from "../../src/index.ts";

/** A text, an error to fail with, or "never": it ends by its signal only. */
export type Answer = string | Error | { readonly never: true };

export function result(text: string): Result {
  return {
    text,
    tokens: new Int32Array(text.length),
    calls: [],
    finishReason: "stop",
    seed: 1,
    usage: { prompt: 10, cached: 4, completion: text.length },
    stats: { loadMs: 5, ttftMs: 20, prefillTps: 300, decodeTps: 41, peakBytes: 1 },
  };
}

/** Runs a chat over `lines`. Ctrl-C is pressed during every answer that never ends. */
export async function chatOver(
  lines: readonly (string | Line)[],
  answers: readonly Answer[],
  options: Partial<Pick<ChatLoopOptions, "interactive" | "json" | "verbose" | "generate" | "tools">> = {},
) {
  const written = { out: "", err: "" };
  const stream = (name: "out" | "err", isTTY: boolean) => ({
    isTTY,
    columns: 80,
    write: (text: string) => {
      written[name] += text;
    },
  });
  const interactive = options.interactive ?? true;
  const terminal = new Terminal({
    stdout: stream("out", false),
    stderr: stream("err", interactive),
    env: { NO_COLOR: "1" },
  });
  const session = new ScriptedSession(answers);
  const loop = new ChatLoop({
    model: {
      info: { memory: { mapped: 1, weights: 2, kv: 3, activations: 4, tokenizer: 5, total: 15 } },
    } as Model,
    session,
    terminal,
    generate: {},
    prompts: { first: "> ", more: "… " },
    json: false,
    verbose: false,
    interactive,
    ...options,
  });
  session.onEndless = () => setImmediate(loop.interrupt);
  const waiting = [...lines];
  const source: LineSource = {
    read: async () => {
      const line = waiting.shift() ?? { type: "end" };
      return typeof line === "string" ? { type: "line", text: line, typed: line } : line;
    },
    remember: () => {},
    close: () => {},
  };
  const exitCode = await loop.run(source);
  return { exitCode, session, ...written };
}

class ScriptedSession implements Session {
  messages: readonly Message[] = [];
  contextLength = 100;
  onEndless = (): unknown => undefined;
  /** Options of every send. */
  readonly sent: (GenerateOptions & { readonly input: string })[] = [];
  private readonly answers: Answer[];

  constructor(answers: readonly Answer[]) {
    this.answers = [...answers];
  }

  get contextUsed(): number {
    return this.messages.reduce((sum, { content }) => sum + content.length, 0);
  }

  send(input: string | Message, options: GenerateOptions = {}): Generation {
    const content = typeof input === "string" ? input : input.content;
    this.sent.push({ ...options, input: content });
    const answer = this.answers.shift() ?? new Error("no more answers");
    if (typeof answer === "object" && "never" in answer) this.onEndless();
    const done = this.answer(content, answer, options.signal);
    done.catch(() => {});
    return generation(done);
  }

  setSystem(system: string | undefined): void {
    const rest = this.messages.filter(({ role }) => role !== "system");
    this.messages = system === undefined ? rest : [{ role: "system", content: system }, ...rest];
  }

  undo(): readonly Message[] {
    const last = this.messages.findLastIndex(({ role }) => role === "user");
    if (last < 0) return [];
    const removed = this.messages.slice(last);
    this.messages = this.messages.slice(0, last);
    return removed;
  }

  dropOldest(turns: number): readonly Message[] {
    const removed = this.messages.slice(0, 2 * turns);
    this.messages = this.messages.slice(2 * turns);
    return removed;
  }

  reset(): void {
    this.messages = this.messages.filter(({ role }) => role === "system");
  }

  async save(): Promise<void> {}

  fork(): Session {
    throw new Error("A chat does not fork.");
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}

  private async answer(content: string, answer: Answer, signal?: AbortSignal): Promise<Result> {
    if (answer instanceof Error) throw answer;
    if (typeof answer !== "string") {
      await new Promise((resolve) => signal?.addEventListener("abort", resolve));
      throw new AbortError(result(""));
    }
    this.messages = [...this.messages, { role: "user", content }, { role: "assistant", content: answer }];
    return result(answer);
  }
}

function generation(done: Promise<Result>): Generation {
  async function* events(): AsyncGenerator<GenerationEvent> {
    yield { type: "prefill", done: 4, total: 10, cached: 4 };
    yield { type: "prefill", done: 10, total: 10, cached: 4 };
    const finished = await done;
    yield { type: "text", delta: finished.text };
    yield { type: "finish", result: finished };
  }
  return {
    events,
    // biome-ignore lint/suspicious/noThenProperty: a Generation can be awaited
    then: (resolve, reject) => done.then(resolve, reject),
    async *[Symbol.asyncIterator]() {
      yield (await done).text;
    },
  };
}
