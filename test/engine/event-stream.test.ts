import { expect, test } from "vitest";
import { eventStream } from "../../src/engine/event-stream.ts";

async function collect<Event, Value>(stream: AsyncGenerator<Event, Value>) {
  const events: Event[] = [];
  for (;;) {
    const next = await stream.next();
    if (next.done) return { events, value: next.value };
    events.push(next.value);
  }
}

const tick = () => new Promise((resolve) => setImmediate(resolve));

test("events come in order, those emitted at once and those emitted later, then the value", async () => {
  const stream = eventStream<number, string>(async (emit) => {
    emit(1);
    emit(2);
    await tick();
    emit(3);
    return "end";
  });
  expect(await collect(stream)).toEqual({ events: [1, 2, 3], value: "end" });
});

test("an error comes after the events before it", async () => {
  const stream = eventStream<number, void>(async (emit) => {
    emit(1);
    throw new Error("broken");
  });
  expect(await stream.next()).toEqual({ done: false, value: 1 });
  await expect(stream.next()).rejects.toThrow("broken");
});

test("leaving early aborts the work and waits until it has ended", async () => {
  let ended = false;
  const stream = eventStream<number, void>(async (emit, signal) => {
    for (let i = 0; !signal.aborted; i++) {
      emit(i);
      await tick();
    }
    await tick();
    ended = true;
  });
  for await (const event of stream) if (event === 2) break;
  expect(ended).toBe(true);
});

test("the outer signal reaches the work, with its reason", async () => {
  const outer = new AbortController();
  const stream = eventStream<number, unknown>(async (emit, signal) => {
    emit(1);
    while (!signal.aborted) await tick();
    return signal.reason;
  }, outer.signal);
  await stream.next();
  outer.abort("stop");
  expect(await stream.next()).toEqual({ done: true, value: "stop" });
});

test("a signal that has fired is seen by the work at its start", async () => {
  const stream = eventStream<number, boolean>(async (_, signal) => signal.aborted, AbortSignal.abort());
  expect(await collect(stream)).toEqual({ events: [], value: true });
});
