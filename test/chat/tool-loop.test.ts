import { expect, test } from "vitest";
import { z } from "zod";
import type { GenerationEvent } from "../../src/chat/generation.ts";
import { defineTool } from "../../src/tools/define-tool.ts";
import type { ToolRun } from "../../src/tools/make-call.ts";
import { scriptedModel, shown } from "./scripted-model.ts";

/** Names the tools first, and writes calls as MiniCPM4 does. */
const template = `{% for t in tools or [] %}[{{ t.function.name }}]{% endfor %}{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`;

const call = (...code: string[]) =>
  `<|tool_call_start|>\n\`\`\`python\n${code.join("\n")}\n\`\`\`\n<|tool_call_end|>\n`;

function scripted({ answers }: { readonly answers: readonly string[] }) {
  return scriptedModel({ template, answers, contextLength: 2000 });
}

function toolbox() {
  const added: unknown[] = [];
  const add = defineTool({
    name: "add",
    description: "Adds two numbers.",
    input: z.object({ a: z.number(), b: z.number() }),
    run: ({ a, b }) => {
      added.push([a, b]);
      return a + b;
    },
  });
  const fail = defineTool({
    name: "fail",
    description: "Fails.",
    input: { type: "object" },
    run: () => {
      throw new Error("no disk");
    },
  });
  return { tools: [add, fail], added };
}

test("a call is made and the answer goes on from what it gave", async () => {
  const { model, native } = scripted({ answers: [call("add(a=17, b=25)"), "It is 42."] });
  const { tools, added } = toolbox();
  const session = model.createSession({ tools });
  const result = await session.send("17 and 25?");
  expect(result).toMatchObject({ text: "It is 42.", finishReason: "stop", calls: [] });
  expect(result.steps).toHaveLength(1);
  expect(result.steps?.[0]?.runs).toMatchObject([{ outcome: "done", text: "42", call: { name: "add" } }]);
  expect(added).toEqual([[17, 25]]);
  expect(session.messages.map(({ role }) => role)).toEqual(["user", "assistant", "tool", "assistant"]);
  expect(session.messages[2]?.content).toBe("42");
  expect(result.usage.cached).toBeGreaterThan(0);
  expect(shown(native.sequences[0]?.tokens() ?? [])).toMatch(/<\|im_start\|> tool\n42<\|im_end\|>/);
});

test("a chat without a session goes through the same loop", async () => {
  const { model, native } = scripted({ answers: [call("add(a=1, b=2)"), "3."] });
  const { tools } = toolbox();
  const result = await model.chat([{ role: "user", content: "1 and 2?" }], { tools, maxTokens: 80 });
  expect(result.text).toBe("3.");
  expect(native.sequences.map(({ disposed }) => disposed)).toEqual([true]);
});

test("calls side by side come back in their order, with an event each", async () => {
  const order: string[] = [];
  const wait = defineTool({
    name: "wait",
    description: "",
    input: { type: "object" },
    run: async ({ turns, name }) => {
      for (let turn = 0; turn < Number(turns); turn++) await new Promise(setImmediate);
      order.push(String(name));
      return String(name);
    },
  });
  const two = call('wait(turns=9, name="slow")', 'wait(turns=0, name="fast")');
  const { model } = scripted({ answers: [two, "Done."] });
  const events: GenerationEvent[] = [];
  const generation = model.chat([{ role: "user", content: "Go" }], { tools: [wait] });
  for await (const event of generation.events()) if (event.type !== "prefill") events.push(event);
  expect(order).toEqual(["fast", "slow"]);
  expect((await generation).steps?.[0]?.runs.map(({ text }) => text)).toEqual(["slow", "fast"]);
  const kinds = events.map(({ type }) => type).filter((type) => type !== "text");
  expect(kinds).toEqual(["call", "call", "tool-result", "tool-result", "step", "finish"]);
});

test("what is wrong with a call is told to the model, which may try again once", async () => {
  const { model } = scripted({
    answers: [call('add(a="x", b=1)'), call("subtract(a=1)"), call("add(a=1, b=1)")],
  });
  const { tools, added } = toolbox();
  const session = model.createSession({ tools });
  const result = await session.send("Go");
  const told = session.messages.filter(({ role }) => role === "tool").map(({ content }) => content);
  expect(told[0]).toBe("Error: the arguments of add are wrong: /a must be number.");
  expect(told[1]).toBe(
    "Error: there is no function subtract. There are: add, fail.\nAnswer without calling again.",
  );
  expect(added).toEqual([]);
  expect(result).toMatchObject({ finishReason: "calls", calls: [{ name: "add" }] });
});

test("a tool that throws and a call that is none are told, and an answer follows", async () => {
  const { model } = scripted({ answers: [call("fail()"), "It cannot."] });
  const { tools } = toolbox();
  expect(await model.chat([{ role: "user", content: "Go" }], { tools })).toMatchObject({
    text: "It cannot.",
    steps: [{ runs: [{ outcome: "error", text: "Error: no disk" }] }],
  });
  const malformed = scripted({ answers: [call("add(a=b)"), "Sorry."] });
  const session = malformed.model.createSession({ tools });
  expect((await session.send("Go")).text).toBe("Sorry.");
  expect(session.messages[2]?.content).toMatch(/^Error: this is no call: .*\nWrite calls like this:/s);
});

test("calls of definitions without a function are the caller's, callable tools beside them or not", async () => {
  const { tools } = toolbox();
  const { model } = scripted({ answers: [call("mine()", "add(a=1, b=2)")] });
  const result = await model.chat([{ role: "user", content: "Go" }], { tools: [...tools, { name: "mine" }] });
  expect(result.finishReason).toBe("calls");
  expect(result.steps).toBeUndefined();
});

test("maxSteps ends the loop with the calls that were not made", async () => {
  const { model } = scripted({ answers: [call("add(a=1, b=2)")] });
  const { tools, added } = toolbox();
  const result = await model.chat([{ role: "user", content: "Go" }], { tools, maxSteps: 3 });
  expect(result.finishReason).toBe("calls");
  expect(result.steps).toHaveLength(2);
  expect(added).toHaveLength(2);
});

test("a call that is not approved is not made, and the model is told why", async () => {
  const { model } = scripted({ answers: [call("add(a=1, b=2)"), "Fine."] });
  const { tools, added } = toolbox();
  const runs: ToolRun[] = [];
  const session = model.createSession({ tools });
  const approve = () => "the user is afraid of sums";
  await session.send("Go", { approve, onToolRun: (run) => runs.push(run) });
  expect(added).toEqual([]);
  expect(runs).toMatchObject([{ outcome: "refused" }]);
  expect(session.messages[2]?.content).toBe("Not called: the user is afraid of sums.");
});

test("one approval is asked after the other", async () => {
  const { model } = scripted({ answers: [call("add(a=1, b=2)", "add(a=3, b=4)"), "Fine."] });
  let open = 0;
  let most = 0;
  const approve = async () => {
    most = Math.max(most, ++open);
    await new Promise(setImmediate);
    open--;
    return true;
  };
  await model.chat([{ role: "user", content: "Go" }], { ...toolbox(), approve });
  expect(most).toBe(1);
});

test("a dry run checks the calls and makes none", async () => {
  const { model } = scripted({ answers: [call("add(a=1, b=2)", 'add(a="x")')] });
  const { tools, added } = toolbox();
  const result = await model.chat([{ role: "user", content: "Go" }], { tools, dryRun: true });
  expect(result.steps?.[0]?.runs.map(({ outcome }) => outcome)).toEqual(["dry", "invalid"]);
  expect(result.finishReason).toBe("calls");
  expect(added).toEqual([]);
});

/** What a model of each form writes before and in a call of `add`, and behind it; it would call something else as well. */
const forms = [
  ["python", "", 'Hm.<|tool_call_start|>\nmul(a=1)add(a=1,c=3,b="2")\n<|tool_call_end|>'],
  [
    "json",
    "<tool_call>",
    'Hm.<tool_call>\n{"name": "mul", "name": "add", "arguments": {"a": 1, "c": 3, "b": "2"}}\n</tool_call>',
  ],
  [
    "xml",
    "<function name=",
    'Hm.<function name="mul" "add"><param name="a">1</param><param name="c">3</param><param name="b">"2"</param></function>',
  ],
] as const;

test.each(forms)(
  "in the %s form toolChoice holds the first answer to a right call, and leaves the next free to call or not",
  async (_, tag, said) => {
    for (const toolChoice of [{ name: "add" }, "required"] as const) {
      const { model } = scriptedModel({
        template: `${template}{% if false %}${tag}{% endif %}`,
        answers: [said, "3."],
        contextLength: 2000,
      });
      const { tools } = toolbox();
      const wanted = toolChoice === "required" ? tools.slice(0, 1) : tools;
      const session = model.createSession({ tools: wanted });
      const result = await session.send("Go", { toolChoice, thinking: false });
      const [step] = result.steps ?? [];
      expect(step?.runs).toMatchObject([{ outcome: "done", call: { name: "add", arguments: { a: 1 } } }]);
      expect(step?.result.text).toBe("");
      expect(result.text).toBe("3.");
    }
  },
);

test("with toolChoice none the model is told of no tool; a name that there is not is an error", async () => {
  const { model, native } = scripted({ answers: ["Hi."] });
  const session = model.createSession(toolbox());
  await session.send("Go", { toolChoice: "none" });
  expect(shown(native.sequences[0]?.tokens() ?? [])).not.toContain("[add]");
  await expect(session.send("Go", { toolChoice: { name: "mul" } })).rejects.toMatchObject({ code: "OPTION" });
});

test.each([
  ["python", "", call("add(a=1, b=2)")],
  ["json", "<tool_call>", '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": 2}}\n</tool_call>'],
  [
    "xml",
    "<function name=",
    '<function name="add"><param name="a">1</param><param name="b">2</param></function>',
  ],
])(
  "with toolChoice none a model that calls in the %s form all the same is held off it",
  async (_, tag, said) => {
    const { model } = scriptedModel({
      template: `${template}{% if false %}${tag}{% endif %}`,
      answers: [`I look. ${said}Done.`],
      contextLength: 2000,
    });
    const { tools, added } = toolbox();
    const messages = [{ role: "user", content: "Go" }] as const;
    for (const given of [tools, []]) {
      const { text, calls, malformedCalls } = await model.chat(messages, {
        tools: given,
        toolChoice: "none",
      });
      expect([calls, malformedCalls, added]).toEqual([[], undefined, []]);
      expect(text).toMatch(/^I look\. .*Done\.$/s);
    }
    const free = await model.chat(messages, { tools: tools.map(({ name }) => ({ name })) });
    expect(free.calls).toHaveLength(1);
  },
);

test("aborting during a call ends the run, and the session is as before", async () => {
  const abort = new AbortController();
  const hang = defineTool({
    name: "hang",
    description: "",
    input: { type: "object" },
    run: () => {
      abort.abort();
      return new Promise(() => {});
    },
  });
  const { model } = scripted({ answers: [call("hang()"), "Hi."] });
  const session = model.createSession({ tools: [hang] });
  await expect(session.send("Go", { signal: abort.signal })).rejects.toMatchObject({ name: "AbortError" });
  expect(session.messages).toEqual([]);
  expect((await session.send("Hi")).text).toBe("Hi.");
});

test("a tool that hangs is given up and the model is told", async () => {
  const hang = defineTool({
    name: "hang",
    description: "",
    input: { type: "object" },
    run: () => new Promise(() => {}),
  });
  const { model } = scripted({ answers: [call("hang()"), "It hangs."] });
  const result = await model.chat([{ role: "user", content: "Go" }], { tools: [hang], toolTimeoutMs: 20 });
  expect(result.text).toBe("It hangs.");
  expect(result.steps?.[0]?.runs[0]?.text).toBe("Error: it took longer than 0.02 s");
});

test("more tools than fit are narrowed to those closest to the question", async () => {
  const many = Array.from({ length: 40 }, (_, index) =>
    defineTool({
      name: `tool_${index}`,
      description: `Does thing ${index}.`,
      input: { type: "object" },
      run: () => "",
    }),
  );
  const weather = defineTool({
    name: "get_weather",
    description: "The weather of a city.",
    input: { type: "object", properties: { city: { type: "string" } } },
    run: () => "Rain.",
  });
  const { model, native } = scriptedModel({ template, contextLength: 1000 });
  const tools = [...many, weather];
  await model.chat([{ role: "user", content: "How is the weather in Oslo?" }], { tools });
  const prompt = shown(native.sequences[0]?.prefills[0] ?? []);
  expect(prompt).toContain("[get_weather]");
  expect(prompt.match(/\[/g)?.length).toBeLessThan(20);
  await model.chat([{ role: "user", content: "How is it?" }], { tools, toolSelection: "all" });
  expect(shown(native.sequences[1]?.prefills[0] ?? []).match(/\[tool_/g)).toHaveLength(40);
});
