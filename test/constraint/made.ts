/** Vocabularies, and texts driven through machines, for the tests of src/constraint. */
import { enginesSource } from "../../src/chat/answer-constraint.ts";
import type { AnyMachine } from "../../src/constraint/byte-machine.ts";
import { walk } from "../../src/constraint/byte-machine.ts";
import { Vocabulary } from "../../src/constraint/vocabulary.ts";
import { openModel } from "../../src/model/load.ts";

/** nano's tokenizer and vocabulary. */
export function nano() {
  const { tokenizer, config, stopTokens } = openModel("nano");
  const { vocabSize } = config;
  const vocabulary = new Vocabulary(enginesSource({ tokenizer, vocabSize, stopTokens }));
  return { tokenizer, vocabSize, vocabulary };
}

/** Whether a machine's language has a text. */
export function accepts(machine: AnyMachine, text: string): boolean {
  const state = walk(machine, machine.start, text);
  return state !== undefined && machine.isWhole(state);
}

/**
 * A text of the machine by bytes drawn among those that may follow; it ends where the machine is done, or where it is
 * whole and the text is long. Undefined where it comes to no end in `most` bytes. Throws where nothing may follow.
 */
export function wander(machine: AnyMachine, random: () => number, most = 600): string | undefined {
  const bytes: number[] = [];
  let state = machine.start;
  while (bytes.length < most) {
    if (machine.isDone(state) || (machine.isWhole(state) && bytes.length > most / 3)) break;
    // What closes things is drawn often, lest strings never end.
    const usual = [0x22, 0x29, 0x7d, 0x5d, 0x2c, 0x0a, 0x60, 0x3c, 0x31];
    const first = Math.floor(random() * 256);
    const tries = Array.from({ length: 4 }, () => usual[Math.floor(random() * 3 * usual.length)]);
    const order = [...tries, ...Array.from({ length: 256 }, (_, step) => (first + 57 * step) % 256)];
    const byte = order.find((one) => one !== undefined && machine.next(state, one) !== undefined);
    if (byte === undefined) throw new Error(`nothing may follow ${Buffer.from(bytes)}`);
    bytes.push(byte);
    state = machine.next(state, byte);
  }
  return machine.isWhole(state) ? Buffer.from(bytes).toString("utf8") : undefined;
}
