import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readItems } from "../../bench/eval/items.ts";
import { checkOf } from "../../src/constraint/json-schema.ts";
import { loadModel } from "../../src/index.ts";

const file = fileURLToPath(new URL("../../models/nano/eval/held-out.jsonl", import.meta.url));
const items = readItems(file).filter(({ tools }) => tools.length > 0);

test.each([0, 1, 2])(
  "at temperature %d all calls of tools that nano never saw parse and are right by their schemas",
  async (temperature) => {
    await using model = await loadModel("nano", { contextLength: 2048 });
    let calls = 0;
    let cut = 0;
    for (const [seed, { messages, tools }] of items.entries()) {
      const options = { tools, toolChoice: "required", thinking: false, temperature, topP: 1, seed } as const;
      const result = await model.chat(messages, { ...options, maxTokens: 300 });
      if (result.finishReason === "length") cut++;
      else expect([result.finishReason, result.malformedCalls]).toEqual(["calls", undefined]);
      for (const call of result.calls) {
        const tool = tools.find(({ name }) => name === call.name);
        const check = checkOf({ ...tool?.parameters, additionalProperties: false });
        expect([call, tool !== undefined, check(call.arguments)]).toEqual([call, true, undefined]);
        calls++;
      }
    }
    console.log(
      `temperature ${temperature}: ${calls} calls of ${items.length} items, ${cut} cut off by maxTokens`,
    );
    expect(calls).toBeGreaterThan(items.length / 2);
  },
);
