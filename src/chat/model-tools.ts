/** What a model can do for other programs, as tools: for MCP clients. */
import type { JsonSchema } from "../constraint/json-schema.ts";
import { defineTool } from "../tools/define-tool.ts";
import type { Tool } from "../tools/tool.ts";
import type { GenerateOptions } from "./generate-options.ts";
import type { Message } from "./message.ts";
import type { Model } from "./model.ts";

const sampling = {
  maxTokens: { type: "integer", minimum: 1, description: "Most tokens of the answer." },
  temperature: { type: "number", minimum: 0, description: "0 gives the most likely answer." },
  seed: { type: "integer", minimum: 0, description: "The same seed gives the same answer." },
} as const;

const extractionPrompt = "Fill in JSON of this schema from the text below.";

/** chat, complete, extract and count_tokens. Calls share the model; each has a sequence of its own. */
export function modelTools(model: Model, defaults: GenerateOptions = {}): readonly Tool[] {
  const { name } = model.info;
  const chat = defineTool({
    name: "chat",
    description: `Asks the local language model ${name} and gives its answer.`,
    input: {
      type: "object",
      properties: {
        prompt: { type: "string", description: "The question, or what to do." },
        system: { type: "string", description: "Instructions that stand before it." },
        ...sampling,
      },
      required: ["prompt"],
      additionalProperties: false,
    },
    readOnly: true,
    run: async ({ prompt, system, ...options }, { signal, onProgress }) => {
      const messages: Message[] = [{ role: "user", content: String(prompt) }];
      if (system !== undefined) messages.unshift({ role: "system", content: String(system) });
      const run = model.chat(messages, { ...defaults, ...(options as GenerateOptions), signal });
      for await (const event of run.events()) {
        if (event.type === "prefill")
          onProgress({ done: event.done, total: event.total, message: "reading" });
      }
      return (await run).text;
    },
  });
  const complete = defineTool({
    name: "complete",
    description: `Goes on with a text as it is, by the local language model ${name}.`,
    input: {
      type: "object",
      properties: { text: { type: "string", description: "What to go on with." }, ...sampling },
      required: ["text"],
      additionalProperties: false,
    },
    readOnly: true,
    run: async ({ text, ...options }, { signal }) => {
      const { text: rest } = await model.complete(String(text), {
        ...defaults,
        ...(options as GenerateOptions),
        signal,
      });
      return rest;
    },
  });
  const extract = defineTool({
    name: "extract",
    description: `Fills in JSON of a schema from a text, by the local language model ${name}. What comes keeps the schema.`,
    input: {
      type: "object",
      properties: {
        text: { type: "string", description: "Where the values are." },
        schema: { type: "object", description: "JSON Schema of what is wanted." },
        instructions: { type: "string", description: "What to look for, where the schema does not say it." },
        ...sampling,
      },
      required: ["text", "schema"],
      additionalProperties: false,
    },
    readOnly: true,
    run: async ({ text, schema, instructions = extractionPrompt, ...options }, { signal }) => {
      const content = `${instructions}\n${JSON.stringify(schema)}\n\n${text}`;
      const form = { thinking: false, schema: schema as JsonSchema };
      const asked = { ...defaults, ...(options as GenerateOptions), ...form, signal };
      const { value, valueProblem } = await model.chat([{ role: "user", content }], asked);
      if (value === undefined) throw new Error(valueProblem ?? "the answer is not of the schema");
      return value;
    },
  });
  const countTokens = defineTool({
    name: "count_tokens",
    description: `Counts the tokens that a text has for ${name}, which can hold ${model.info.contextLength}.`,
    input: {
      type: "object",
      properties: { text: { type: "string" } },
      required: ["text"],
      additionalProperties: false,
    },
    output: {
      type: "object",
      properties: { tokens: { type: "integer" }, contextLength: { type: "integer" } },
      required: ["tokens", "contextLength"],
    },
    readOnly: true,
    run: ({ text }) => ({
      tokens: model.tokenizer.encode(String(text)).length,
      contextLength: model.info.contextLength,
    }),
  });
  return [chat, complete, extract, countTokens];
}
