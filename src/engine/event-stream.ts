/**
 * The events that `run` emits, as they come; ends or throws as `run` does. Leaving early aborts the signal that `run` is
 * given, and waits until it has ended; so does the outer `signal`, without leaving.
 */
export async function* eventStream<Event, Value>(
  run: (emit: (event: Event) => void, signal: AbortSignal) => Promise<Value>,
  signal?: AbortSignal,
): AsyncGenerator<Event, Value> {
  const stop = new AbortController();
  const abort = () => stop.abort(signal?.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort, { once: true });

  const queue: Event[] = [];
  let wake = () => {};
  let running = true;
  const emit = (event: Event) => {
    queue.push(event);
    wake();
  };
  const ended = run(emit, stop.signal).finally(() => {
    running = false;
    wake();
  });
  ended.catch(() => {}); // it is thrown below, after the events that came before it

  try {
    while (running || queue.length > 0) {
      if (queue.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      yield* queue.splice(0);
    }
    return await ended;
  } finally {
    signal?.removeEventListener("abort", abort);
    stop.abort();
    await ended.catch(() => {});
  }
}
