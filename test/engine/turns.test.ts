import { expect, test } from "vitest";
import { Turns } from "../../src/engine/turns.ts";

const never = new AbortController().signal;
const tick = () => new Promise((resolve) => setImmediate(resolve));

test("work is done one at a time, in the order of asking, whatever fails", async () => {
  const turns = new Turns();
  const log: string[] = [];
  const work =
    (name: string, fail = false) =>
    async () => {
      log.push(`${name} starts`);
      await tick();
      log.push(`${name} ends`);
      if (fail) throw new Error(name);
      return name;
    };
  const results = await Promise.allSettled([
    turns.take(work("a"), never),
    turns.take(work("b", true), never),
    turns.take(work("c"), never),
  ]);
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(log).toEqual(["a starts", "a ends", "b starts", "b ends", "c starts", "c ends"]);
  expect(turns.busy).toBe(false);
});

test("an abort while waiting is answered at once, and does not let the next one in early", async () => {
  const turns = new Turns();
  const stop = new AbortController();
  let release = () => {};
  const first = turns.take(
    () =>
      new Promise<void>((resolve) => {
        release = resolve;
      }),
    never,
  );
  const second = turns.take(async () => expect.unreachable(), stop.signal);
  let thirdRan = false;
  const third = turns.take(async () => {
    thirdRan = true;
  }, never);
  stop.abort("late");
  await expect(second).rejects.toMatchObject({ name: "AbortError", cause: "late" });
  await tick();
  expect([thirdRan, turns.busy]).toEqual([false, true]);
  release();
  await Promise.all([first, third]);
  expect([thirdRan, turns.busy]).toEqual([true, false]);
});
