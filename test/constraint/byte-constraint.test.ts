import { describe, expect, test } from "vitest";
import { jsonCalls } from "../../src/chat/json-calls.ts";
import { callsEnd, callsStart } from "../../src/chat/python-calls.ts";
import { xmlCalls } from "../../src/chat/xml-calls.ts";
import { afterThought } from "../../src/constraint/after-thought.ts";
import { ByteConstraint } from "../../src/constraint/byte-constraint.ts";
import type { AnyMachine } from "../../src/constraint/byte-machine.ts";
import { type Constraint, isAllowed, maskWords } from "../../src/constraint/constraint.ts";
import { either } from "../../src/constraint/either.ts";
import { jsonCallMachine } from "../../src/constraint/json-call-machine.ts";
import { jsonAnswer } from "../../src/constraint/json-machine.ts";
import { pythonCallMachine } from "../../src/constraint/python-call-machine.ts";
import { callsOnly, textWithCalls, textWithoutCalls } from "../../src/constraint/reply-machine.ts";
import { xmlCallMachine } from "../../src/constraint/xml-call-machine.ts";
import { randomNumbers } from "../random-numbers.ts";
import { nano } from "./made.ts";

const { tokenizer, vocabulary, vocabSize } = nano();
const [stop = -1] = vocabulary.stopTokens;
const tags = { start: callsStart, end: callsEnd };
const thoughts = { tags: [{ start: "<think>", end: "</think>" }] };
const person = {
  type: "object",
  properties: {
    name: { type: "string", maxLength: 9 },
    tags: { type: "array", items: { enum: ["ab", "abc", "x"] } },
  },
  required: ["name"],
  additionalProperties: false,
};
const tools = [{ name: "look_up", parameters: person }, { name: "look" }];
const calls = pythonCallMachine(tools, { end: callsEnd });
const json = jsonAnswer(person);
const machines: readonly (readonly [string, AnyMachine])[] = [
  ["JSON", json],
  ["JSON after a thought", afterThought(json, thoughts)],
  ["JSON in an open thought", afterThought(json, { tags: [], opened: "</think>" })],
  ["one block of calls", callsOnly(tags, calls)],
  ["text with calls", textWithCalls(tags, calls)],
  ["text with calls as JSON", textWithCalls(jsonCalls, jsonCallMachine(tools, jsonCalls))],
  ["text with calls as XML", textWithCalls(xmlCalls, xmlCallMachine(tools, xmlCalls))],
  ["several calls as XML", callsOnly(xmlCalls, xmlCallMachine(tools, xmlCalls), { several: true })],
  ["text without calls", textWithoutCalls(tags)],
  ["calls or JSON", either(callsOnly(tags, calls), json)],
];

function filled(constraint: Constraint): Uint32Array {
  const mask = new Uint32Array(maskWords(vocabSize)).fill(0xffffffff);
  constraint.fill(mask);
  return mask;
}

/** Tokens that the constraint takes, tried one after another. */
function taken(constraint: Constraint): number[] {
  return Array.from({ length: vocabSize }, (_, token) => token).filter((token) => {
    if (!constraint.accept(token)) return false;
    constraint.rollback(1);
    return true;
  });
}

function allowed(mask: Uint32Array): number[] {
  return Array.from({ length: mask.length * 32 }, (_, token) => token).filter((token) =>
    isAllowed(mask, token),
  );
}

describe.each(machines)("%s", (_, machine) => {
  test("a mask has the tokens that are taken, at first and as it is remembered", () => {
    const random = randomNumbers(3);
    const constraint = new ByteConstraint(machine, vocabulary);
    for (let step = 0; step < 40 && !constraint.isDone; step++) {
      const mask = filled(constraint);
      const tokens = taken(constraint);
      expect(allowed(mask)).toEqual(tokens);
      expect(filled(constraint)).toEqual(mask);
      expect(tokens.includes(stop)).toBe(constraint.isWhole);
      const usual = tokens.filter((token) => token !== stop);
      constraint.accept(usual[Math.floor(random() * usual.length)] as number);
    }
  });

  test("what is taken back was never there, and a fork goes its own way", () => {
    const random = randomNumbers(5);
    const constraint = new ByteConstraint(machine, vocabulary);
    const masks = [filled(constraint)];
    for (let step = 0; step < 12; step++) {
      const tokens = taken(constraint);
      constraint.accept(tokens[Math.floor(random() * tokens.length)] as number);
      masks.push(filled(constraint));
    }
    const fork = constraint.fork();
    for (let length = masks.length - 1; length > 0; length--) {
      expect(filled(constraint)).toEqual(masks[length]);
      constraint.rollback(1);
    }
    expect(filled(constraint)).toEqual(masks[0]);
    expect(filled(fork)).toEqual(masks.at(-1));
  });

  test("forced tokens are the only ones where they stand", () => {
    const constraint = new ByteConstraint(machine, vocabulary);
    for (const token of tokenizer.encode('<|tool_call_start|>\n```python\nlook_up(name="a"')) {
      const forced = constraint.forced(4);
      for (const token of forced) {
        expect(taken(constraint)).toEqual([token]);
        constraint.accept(token);
      }
      constraint.rollback(forced.length);
      if (forced.length === 0) expect(taken(constraint).length).not.toBe(1);
      if (!constraint.accept(token)) break;
    }
  });
});

test("a constant has forced tokens up to its end, and none are more than asked for", () => {
  const constraint = new ByteConstraint(jsonAnswer({ const: 7 }), vocabulary);
  expect(constraint.accept(tokenizer.encode("7").at(-1) ?? -1)).toBe(true);
  const one = new ByteConstraint(callsOnly(tags, calls), vocabulary);
  for (const token of tokenizer.encode("<|tool_call_start|>\n```python\nlook()\n```\n<|tool_call_end|>\n")) {
    if (!one.accept(token)) break;
  }
  expect(one.isWhole).toBe(true);
  expect(one.forced(0)).toEqual([]);
});

test("of a stop token nothing follows, and it can be taken back", () => {
  const constraint = new ByteConstraint(textWithoutCalls(tags), vocabulary);
  expect(constraint.accept(stop)).toBe(true);
  expect(constraint.isDone).toBe(true);
  expect(taken(constraint)).toEqual([]);
  expect(allowed(filled(constraint))).toEqual([]);
  constraint.rollback(1);
  expect(constraint.isDone).toBe(false);
});

test("a newline is its piece, not the byte that stands in for it", () => {
  const fallback = Array.from({ length: vocabSize }, (_, token) => token).filter((token) =>
    /^<0x..>$/.test(tokenizer.idToToken(token) ?? ""),
  );
  const pieces = new Set(fallback.filter((token) => vocabulary.bytes(token) === undefined));
  expect(pieces.size).toBeGreaterThan(0);
  for (const token of tokenizer.encode('{"a b": [1, -2.5e3]}\n'))
    expect(vocabulary.bytes(token)).toBeDefined();
});
