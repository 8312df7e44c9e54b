import { expect, test, vi } from "vitest";
import { type Generation, type GenerationEvent, Run, type RunBody } from "../../src/chat/generation.ts";
import type { Result } from "../../src/chat/result.ts";
import { AbortError } from "../../src/errors.ts";

const tick = () => new Promise((resolve) => setImmediate(resolve));

function resultOf(text: string): Result {
  return {
    text,
    tokens: new Int32Array(),
    calls: [],
    finishReason: "stop",
    seed: 0,
    usage: { prompt: 1, cached: 0, completion: 0 },
    stats: { loadMs: 0, ttftMs: 0, prefillTps: 0, decodeTps: 0, peakBytes: 0 },
  };
}

/** Says the words one by one until it is aborted. */
function says(...words: readonly string[]): RunBody {
  return async (emit, signal) => {
    let text = "";
    emit({ type: "prefill", done: 1, total: 1, cached: 0 });
    for (const delta of words) {
      await tick();
      if (signal.aborted) throw new AbortError(resultOf(text), { cause: signal.reason });
      emit({ type: "text", delta });
      text += delta;
    }
    return resultOf(text);
  };
}

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}

test("awaiting gives the result, iterating the text, events everything; it runs once", async () => {
  const body = vi.fn(says("a", "b"));
  const run = new Run(body);
  const [result, text, events] = await Promise.all([run, collect(run), collect(run.events())]);
  expect(result.text).toBe("ab");
  expect(text).toEqual(["a", "b"]);
  expect(events).toEqual([
    { type: "prefill", done: 1, total: 1, cached: 0 },
    { type: "text", delta: "a" },
    { type: "text", delta: "b" },
    { type: "finish", result },
  ] satisfies GenerationEvent[]);
  expect(await collect(run)).toEqual(["a", "b"]); // also afterwards
  expect(await run).toBe(result);
  expect(body).toHaveBeenCalledTimes(1);
});

test("it starts without anybody looking", async () => {
  const body = vi.fn(says("a"));
  const run = new Run(body);
  expect(body).toHaveBeenCalledTimes(1);
  await run.settled();
});

test("breaking out of the iteration aborts the run, with the partial result", async () => {
  const run = new Run(says("a", "b", "c", "d"));
  for await (const text of run) if (text === "b") break;
  await expect(run).rejects.toMatchObject({ name: "AbortError", partial: { text: "ab" } });
});

test("breaking after the end changes nothing", async () => {
  const run = new Run(says("a"));
  for await (const event of run.events()) if (event.type === "finish") break;
  expect((await run).text).toBe("a");
});

test("a signal aborts; everybody who looks hears of it", async () => {
  const stop = new AbortController();
  const run = new Run(says("a", "b", "c"), stop.signal);
  const reading = collect(run);
  await tick();
  stop.abort("enough");
  for (const look of [run, reading, collect(run.events())]) {
    await expect(look).rejects.toMatchObject({ name: "AbortError", code: "ABORT_ERR", cause: "enough" });
  }
});

test("a signal that has fired is seen by the body", async () => {
  const run = new Run(says("a"), AbortSignal.abort());
  await expect(run).rejects.toMatchObject({ partial: { text: "" } });
});

test("readers get the text that came before an error, then the error", async () => {
  const run = new Run(async (emit) => {
    emit({ type: "text", delta: "a" });
    throw new Error("broken");
  });
  const seen: string[] = [];
  const read = async () => {
    for await (const text of run) seen.push(text);
  };
  await expect(read()).rejects.toThrow("broken");
  expect(seen).toEqual(["a"]);
  await expect(run).rejects.toThrow("broken");
});

test("a body that throws before its first await rejects", async () => {
  const run = new Run(() => {
    throw new Error("at once");
  });
  await expect(run).rejects.toThrow("at once");
});

test("a failed run that nobody looks at is no unhandled rejection", async () => {
  const unhandled = vi.fn();
  process.on("unhandledRejection", unhandled);
  const run = new Run(says("a", "b"));
  run.abort();
  new Run(() => Promise.reject(new Error("broken")));
  await run.settled();
  await tick();
  await tick();
  process.off("unhandledRejection", unhandled);
  expect(unhandled).not.toHaveBeenCalled();
});

test("the caller's signal keeps no listener when the run is over", async () => {
  const { signal } = new AbortController();
  const added = vi.spyOn(signal, "addEventListener");
  const removed = vi.spyOn(signal, "removeEventListener");
  await new Run(says("a"), signal);
  await tick();
  expect(removed).toHaveBeenCalledTimes(added.mock.calls.length);
});

test("then and catch chain as a promise's do", async () => {
  expect(await new Run(says("a")).then(({ text }) => text)).toBe("a");
  const failed: Generation = new Run(() => Promise.reject(new Error("broken")));
  expect(await failed.then(undefined, (error: Error) => error.message)).toBe("broken");
});
