import { expect, test } from "vitest";
import { Admission } from "../../src/engine/admission.ts";
import { Sequence } from "../../src/engine/sequence.ts";
import { withPublicErrors } from "../../src/native/error-table.ts";
import { ScriptedModel } from "./scripted.ts";

const never = new AbortController().signal;

function roomFor(tokens: number) {
  const native = new ScriptedModel({ answers: [[2]], room: tokens });
  const admission = new Admission();
  const create = (capacity: number) =>
    new Sequence(
      withPublicErrors(() => native.createSequence({ capacity })),
      admission,
    );
  const ask = (capacity: number, signal = never) => admission.inTurn(() => create(capacity), signal);
  return { ask, create };
}

/** Whether a promise is settled by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol();
  const tick = new Promise((resolve) => setImmediate(resolve, pending));
  return (await Promise.race([promise.catch(() => {}), tick])) !== pending;
}

test("what does not fit waits until another has gone", async () => {
  const { ask } = roomFor(10);
  const first = await ask(6);
  const second = ask(6);
  expect(await isSettled(second)).toBe(false);
  first.dispose();
  expect((await second).capacity).toBe(6);
});

test("those who wait come in the order of asking, also where a later one would fit", async () => {
  const { ask } = roomFor(10);
  const first = await ask(6);
  const large = ask(8);
  const small = ask(2);
  expect(await isSettled(small)).toBe(false);
  first.dispose();
  expect((await large).capacity).toBe(8);
  expect((await small).capacity).toBe(2);
});

test("what never fits is refused at once, with its numbers", async () => {
  const { ask } = roomFor(10);
  await expect(ask(11)).rejects.toMatchObject({ code: "OUT_OF_MEMORY", neededBytes: 11, freeBytes: 10 });
  expect((await ask(10)).capacity).toBe(10);
});

test("an abort leaves the queue, and the next has its turn", async () => {
  const { ask } = roomFor(10);
  const first = await ask(6);
  const controller = new AbortController();
  const large = ask(8, controller.signal);
  const small = ask(2);
  await isSettled(large);
  controller.abort();
  await expect(large).rejects.toMatchObject({ name: "AbortError" });
  expect((await small).capacity).toBe(2);
  first.dispose();
});

test("a fork counts as one more, a second dispose does not", async () => {
  const { ask } = roomFor(12);
  const first = await ask(4);
  const fork = first.fork();
  const waiting = ask(12);
  first.dispose();
  first.dispose();
  expect(await isSettled(waiting)).toBe(false);
  fork.dispose();
  expect((await waiting).capacity).toBe(12);
});
