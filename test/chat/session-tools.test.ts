import { expect, test } from "vitest";
import { scriptedModel, shown } from "./scripted-model.ts";

const weather = {
  name: "get_weather",
  description: "Weather.",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
/** Names the tools first, and writes calls as MiniCPM4 does. */
const toolTemplate = `{% for t in tools or [] %}[{{ t.function.name }}]{% endfor %}{% for m in messages %}<|im_start|>{{ m.role }}
{% if m.tool_calls %}<|tool_call_start|>{% for c in m.tool_calls %}{{ c.function.name }}({% for k in c.function.arguments %}{{ k }}={{ c.function.arguments[k] | tojson }}{% endfor %})
{% endfor %}<|tool_call_end|>{% endif %}{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`;
const call = '<|tool_call_start|>get_weather(city="Paris")\n<|tool_call_end|>';

test("calls come back, their results are sent, and nothing that was said is run again", async () => {
  const { model, native } = scriptedModel({ template: toolTemplate, answers: [call, "Sunny."] });
  const session = model.createSession({ tools: [weather] });
  const first = await session.send("Weather?");
  expect(first).toMatchObject({ text: "", finishReason: "calls" });
  expect(first.calls).toEqual([{ name: "get_weather", arguments: { city: "Paris" } }]);
  const second = await session.send([{ role: "tool", content: "{}" }]);
  expect(second).toMatchObject({ text: "Sunny.", finishReason: "stop", calls: [] });
  expect(session.messages.map(({ role }) => role)).toEqual(["user", "assistant", "tool", "assistant"]);
  expect(session.messages[1]).toEqual({ role: "assistant", content: "", calls: first.calls });
  expect(shown(native.sequences[0]?.tokens() ?? [])).toMatch(/^<s> ?\[get_weather\]/);
  expect(second.usage.cached).toBeGreaterThanOrEqual(first.usage.prompt + first.tokens.length);
});

test("a chat's or a send's own tools are the ones the model is told of", async () => {
  const { model, native } = scriptedModel({ template: toolTemplate });
  await model.chat([{ role: "user", content: "Hi" }], { tools: [weather] });
  await model.createSession({ tools: [weather] }).send("Hi", { tools: [] });
  const prompts = native.sequences.map((sequence) => shown(sequence.prefills[0] ?? []));
  expect(prompts.map((prompt) => prompt.includes("[get_weather]"))).toEqual([true, false]);
});

test("tools where the template has no place for them are refused", async () => {
  const { model } = scriptedModel();
  expect(model.info.hasTools).toBe(false);
  await expect(model.createSession({ tools: [weather] }).send("Hi")).rejects.toMatchObject({
    code: "UNSUPPORTED",
  });
});

test("a call is an event of its own", async () => {
  const { model } = scriptedModel({ template: toolTemplate, answers: [`I look. ${call}`] });
  const events = [];
  for await (const event of model.chat([{ role: "user", content: "Hi" }]).events()) {
    if (event.type !== "prefill" && event.type !== "finish") events.push(event);
  }
  expect(events.at(-1)).toEqual({
    type: "call",
    call: { name: "get_weather", arguments: { city: "Paris" } },
  });
  expect(events.map((event) => (event.type === "text" ? event.delta : "")).join("")).toBe("I look.");
});
