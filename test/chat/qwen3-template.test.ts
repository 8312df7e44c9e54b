import { expect, test } from "vitest";
import type { Message } from "../../src/chat/message.ts";
import { ChatTemplate } from "../../src/chat/template.ts";
import { ThinkingSplitter } from "../../src/chat/thinking.ts";
import { openModel } from "../../src/model/load.ts";

/**
 * ChatML by the means that Qwen3's template uses: a namespace, messages in reverse, `is string`, strip with characters,
 * thoughts kept behind the last question only, and an empty thought where thinking is off.
 */
const source = `
{%- if tools %}{{- raise_exception('no tools here') }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(searching=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.searching and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.searching = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = message.content if message.content is string else '' %}
    {%- if message.role == "user" or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set thought = '' %}
        {%- if message.reasoning_content is string %}
            {%- set thought = message.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {{- '<|im_start|>' + message.role + '\\n' }}
        {%- if loop.index0 > ns.last_query_index and (loop.last or thought) %}
            {{- '<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}`;

const template = new ChatTemplate(openModel("tiny").tokenizer, { source, file: "test", tokens: {} });

const conversation: Message[] = [
  { role: "system", content: "Be brief." },
  { role: "user", content: "Hi" },
  { role: "assistant", content: "Hello!", thinking: "A greeting." },
  { role: "user", content: "Bye" },
];
const turns = (...answers: string[]) =>
  `<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n${answers[0]}<|im_end|>\n`;

function rendered(messages: readonly Message[], addGenerationPrompt: boolean, thinking?: boolean): string {
  return template
    .render(messages, { addGenerationPrompt, thinking })
    .map(({ text }) => text)
    .join("");
}

test("the model thinks by its own choice unless thinking is off, and then behind an empty thought", () => {
  const open = `${turns("Hello!")}<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n`;
  expect(template.hasThinking).toBe(true);
  expect(rendered(conversation, true)).toBe(open);
  expect(rendered(conversation, true, true)).toBe(open);
  expect(rendered(conversation, true, false)).toBe(`${open}<think>\n\n</think>\n\n`);
});

test("a thought behind the last question stays, with the line breaks around it trimmed", () => {
  const messages: Message[] = [
    ...conversation.slice(0, 2),
    { role: "assistant", content: "\nHello!", thinking: "\nA greeting.\n" },
  ];
  expect(rendered(messages, false)).toBe(turns("<think>\nA greeting.\n</think>\n\nHello!"));
});

test("an answer that has its thought inside keeps both", () => {
  const spelled: Message[] = [
    ...conversation.slice(0, 2),
    { role: "assistant", content: "<think>\nA greeting.\n</think>\n\nHello!" },
  ];
  expect(rendered(spelled, false)).toBe(turns("<think>\nA greeting.\n</think>\n\nHello!"));
});

test("no prompt opens a thought: the answer does that itself, and is split", () => {
  for (const thinking of [undefined, true, false]) {
    const { openedThought } = template.encode(conversation, { addGenerationPrompt: true, thinking });
    expect(openedThought).toBeUndefined();
  }
  const splitter = new ThinkingSplitter();
  const pieces = [...splitter.push("<think>\nA farewell.\n</think>\n\nBye!"), ...splitter.end()];
  expect(pieces).toEqual([
    { type: "thinking", delta: "A farewell." },
    { type: "text", delta: "Bye!" },
  ]);
});
