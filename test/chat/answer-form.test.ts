import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { readItems } from "../../bench/eval/items.ts";
import { checkOf } from "../../src/constraint/json-schema.ts";
import { AbortError, loadModel, type Model } from "../../src/index.ts";

let model: Model;
beforeAll(async () => {
  model = await loadModel("nano", { contextLength: 2048 });
});
afterAll(() => model.close());

const person = {
  type: "object",
  properties: {
    name: { type: "string", maxLength: 12 },
    age: { type: "integer", minimum: 0, maximum: 150 },
    tags: { type: "array", items: { enum: ["a", "b"] }, maxItems: 3 },
  },
  required: ["name", "age"],
  additionalProperties: false,
} as const;
const ask = [{ role: "user", content: "Describe a person as JSON." }] as const;

describe("schema", () => {
  test.each([0, 1, 3])(
    "at temperature %d the value is of the schema, and the text is its JSON",
    async (temperature) => {
      const check = checkOf(person);
      for (let seed = 0; seed < 5; seed++) {
        const result = await model.chat(ask, { schema: person, temperature, topP: 1, seed, maxTokens: 200 });
        expect([result.finishReason, result.valueProblem]).toEqual(["stop", undefined]);
        expect(check(result.value)).toBeUndefined();
        expect(JSON.parse(result.text)).toEqual(result.value);
      }
    },
  );

  test("may be Zod's, without fields that it does not name", async () => {
    const schema = z.object({ name: z.string().max(8), kind: z.enum(["cat", "dog"]) });
    const { value } = await model.chat(ask, { schema, temperature: 2, seed: 1 });
    expect(schema.strict().parse(value)).toEqual(value);
  });

  test("an answer that is cut off has no value, and says why", async () => {
    const result = await model.chat(ask, { schema: person, temperature: 0, maxTokens: 4 });
    expect(result.finishReason).toBe("length");
    expect(result).not.toHaveProperty("value");
    expect(result.valueProblem).toMatch(/cut off.*maxTokens/);
    expect(result.tokens).toHaveLength(4);
  });

  test("holds in a session and in completions too", async () => {
    await using session = model.createSession({ contextLength: 512 });
    for (const text of ["A cat?", "And a dog?"]) {
      const { value } = await session.send(text, { schema: { enum: ["yes", "no"] }, temperature: 1 });
      expect(["yes", "no"]).toContain(value);
    }
    const { value, text } = await model.complete("The number is", { schema: { const: 42 } });
    expect([value, text.trim()]).toEqual([42, "42"]);
  });

  test("the same seed gives the same answer", async () => {
    const texts = [1, 2].map(
      async () => (await model.chat(ask, { schema: person, temperature: 2, seed: 9 })).text,
    );
    const [first, second] = await Promise.all(texts);
    expect(first).toBe(second);
  });

  test("an abort gives what there is, without a value", async () => {
    const abort = new AbortController();
    const run = model.chat(ask, {
      schema: { type: "array", minItems: 500 },
      temperature: 1,
      signal: abort.signal,
    });
    const reading = (async () => {
      for await (const _ of run) abort.abort();
    })();
    const [error] = await Promise.all([run.then(undefined, (reason) => reason), reading.catch(() => {})]);
    expect(error).toBeInstanceOf(AbortError);
    expect(error.partial).not.toHaveProperty("value");
  });
});

describe("grammar", () => {
  test("the text is of it", async () => {
    const { text } = await model.chat(ask, {
      grammar: { regex: "[0-9]{3}-[a-z]{2}" },
      temperature: 2,
      seed: 1,
    });
    expect(text).toMatch(/^[0-9]{3}-[a-z]{2}$/);
    const { text: word } = await model.chat(ask, { grammar: 'root ::= "yes" | "no"' });
    expect(["yes", "no"]).toContain(word);
  });
});

test.each([
  ["a schema and a grammar", { schema: {}, grammar: "root ::= [a]" }, "OPTION"],
  ["a schema without an end", { schema: {}, ignoreEos: true }, "OPTION"],
  ["a schema that is none", { schema: { type: "nothing" } }, "CONSTRAINT"],
  ["a pattern", { schema: { type: "string", pattern: "a" } }, "CONSTRAINT"],
  ["a grammar that is none", { grammar: "root ::=" }, "CONSTRAINT"],
  ["a tool that is not there", { toolChoice: { name: "f" } }, "OPTION"],
  ["a call without tools", { toolChoice: "required" }, "OPTION"],
  ["a choice that is none", { toolChoice: "often" }, "OPTION"],
])("%s is refused before any work", async (_, options, code) => {
  const events: string[] = [];
  const run = model.chat(ask, options as object);
  const reading = (async () => {
    for await (const { type } of run.events()) events.push(type);
  })();
  await expect(reading).rejects.toMatchObject({ code });
  expect(events).toEqual([]);
});

const file = fileURLToPath(new URL("../../models/nano/eval/held-out.jsonl", import.meta.url));
const items = readItems(file).filter(({ tools }) => tools.length > 0);

describe("calls of tools that nano never saw", () => {
  const some = items.filter((_, index) => index % 12 === 0);

  test("at a high temperature all parse and are right by their schemas", async () => {
    expect(readFileSync(file).length).toBeGreaterThan(0);
    expect(some.length).toBeGreaterThan(10);
    let whole = 0;
    for (const [seed, { messages, tools }] of some.entries()) {
      const options = {
        tools,
        toolChoice: "required",
        thinking: false,
        temperature: 2,
        topP: 1,
        seed,
      } as const;
      const { calls, malformedCalls, finishReason } = await model.chat(messages, {
        ...options,
        maxTokens: 400,
      });
      expect(["calls", "length"]).toContain(finishReason);
      if (finishReason === "calls") {
        expect([malformedCalls, calls.length > 0]).toEqual([undefined, true]);
        whole++;
      }
      for (const call of calls) {
        const tool = tools.find(({ name }) => name === call.name);
        expect(checkOf({ additionalProperties: false, ...tool?.parameters })(call.arguments)).toBeUndefined();
      }
    }
    // The others write one string until maxTokens.
    expect(whole).toBeGreaterThan(some.length / 2);
  });

  test("a tool by name is called once, and none where none may be", async () => {
    for (const { messages, tools } of some.slice(0, 5)) {
      const name = tools.at(-1)?.name as string;
      const named = {
        tools,
        toolChoice: { name },
        temperature: 1,
        topP: 1,
        seed: 4,
        thinking: false,
      } as const;
      const { calls } = await model.chat(messages, named);
      expect(calls.map((call) => call.name)).toEqual([name]);
      const none = await model.chat(messages, { tools, toolChoice: "none", temperature: 0, maxTokens: 60 });
      expect([none.calls, none.malformedCalls, none.text.includes("<|tool_call_start|>")]).toEqual([
        [],
        undefined,
        false,
      ]);
    }
  });

  test("thinking stays free before a call that is required", async () => {
    const { messages, tools } = some[0] as (typeof some)[number];
    const result = await model.chat(messages, { tools, toolChoice: "required", temperature: 0 });
    expect(result.calls.length).toBeGreaterThan(0);
    expect(result.thinking).toMatch(/\w/);
  });
});
