/**
 * Functions told to a model in its system message, in the form that MiniCPM4 was trained on (that of MiniCPM3's function
 * calling): for MiniCPM checkpoints whose chat template has no place for tools.
 */
import { isRequired } from "../constraint/callable.ts";
import { isObject } from "../model/json-fields.ts";
import type { ToolDefinition } from "../tools/tool.ts";
import type { Message } from "./message.ts";

type Schema = Readonly<Record<string, unknown>>;

const basicTypes: Readonly<Record<string, string>> = {
  string: "str",
  number: "float",
  integer: "int",
  boolean: "bool",
  null: "None",
};

const rules = `# Function Call Rule and Output Format
- If the question can be answered without a function, give your thought and answer it.
- If a function is needed and something it needs is missing, give your thought and ask for it.
- If a function is needed and all that it needs is there, give your thought and call it.
- Leave parameters that have a default as they are, unless the user says otherwise.
- Use this format:

<|thought_start|>
{why you answer, ask or call}
<|thought_end|>
<|tool_call_start|>
\`\`\`python
func1(params_name=params_value, params_name2=params_value2...)
func2(params)
\`\`\`
<|tool_call_end|>
{answer or question}`;

/** The conversation with the functions behind its system message, or in one of their own. */
export function withToolsAsText(messages: readonly Message[], tools: readonly ToolDefinition[]): Message[] {
  const [first, ...rest] = messages;
  const before = first?.role === "system" ? first.content : "";
  const system: Message = { role: "system", content: before + toolText(tools) };
  return [system, ...(first?.role === "system" ? rest : messages)];
}

function toolText(tools: readonly ToolDefinition[]): string {
  return (
    "\n# Functions\nHere is a list of functions that you can invoke:\n```python\nfrom enum import Enum\n" +
    "from typing import List, Dict, Optional\nfrom pydantic import BaseModel, Field\n\n" +
    `${tools.map(functionText).join("")}\n\`\`\`\n\n${rules}`
  );
}

function functionText({ name, description = "", parameters = {} }: ToolDefinition): string {
  const parts = Object.entries(propertiesOf(parameters)).map(([parameter, schema]) =>
    isRequired(parameters, parameter) ? parameter : `${parameter}=${defaultOf(schema)}`,
  );
  return (
    `${classes(parameters)}\n\ndef ${name}(${parts.join(", ")}):\n    """${description}\n\n    Args:\n` +
    `${fields(parameters, "        ")}    """\n`
  );
}

/** The classes that an object's fields are of, inner ones first. */
function classes(object: Schema): string {
  const texts = Object.entries(propertiesOf(object)).map(([name, schema]) => {
    if (Array.isArray(schema.enum)) {
      const members = schema.enum.map((value, index) => `    enum_${index} = ${JSON.stringify(value)}\n`);
      return `\n\nclass ${title(name)}(Enum):\n${members.join("")}`;
    }
    const inner = schema.type === "array" ? record(schema.items) : schema;
    if (inner.type !== "object" || !inner.properties) return "";
    return `${classes(inner)}\n\nclass ${title(name)}(BaseModel):\n${fields(inner, "    ")}`;
  });
  return texts.join("");
}

/** `city: str = Field(..., description="City name")`, a line for each field. */
function fields(object: Schema, indent: string): string {
  const lines = Object.entries(propertiesOf(object)).map(([name, schema]) => {
    const required = isRequired(object, name);
    const type = required ? typeOf(name, schema) : `Optional[${typeOf(name, schema)}]`;
    const told = { description: schema.description, regex: schema.pattern, title: schema.title };
    const more = Object.entries(told).filter(([, text]) => typeof text === "string" && text !== "");
    const value = required ? "..." : defaultOf(schema);
    const plain = required ? "" : ` = ${value}`;
    const field = more.map(([key, text]) => `, ${key}=${JSON.stringify(text)}`).join("");
    return `${indent}${name}: ${type}${more.length > 0 ? ` = Field(${value}${field})` : plain}\n`;
  });
  return lines.join("");
}

function typeOf(name: string, schema: Schema): string {
  const { type } = schema;
  if (schema.enum) return title(name);
  if (Array.isArray(type)) return `Union[${type.map((one) => typeOf(name, { type: one })).join(", ")}]`;
  if (type === "array") return `List[${typeOf(name, record(schema.items))}]`;
  if (type === "object" && schema.properties) return title(name);
  if (type === "object") return `Dict[str, ${typeOf(name, record(schema.additionalProperties))}]`;
  return (typeof type === "string" ? basicTypes[type] : undefined) ?? "Any";
}

/** As Python writes it. */
function defaultOf({ default: value }: Schema): string {
  if (typeof value === "boolean") return value ? "True" : "False";
  return value === undefined || value === null ? "None" : JSON.stringify(value);
}

function propertiesOf({ properties }: Schema): Readonly<Record<string, Schema>> {
  return Object.fromEntries(
    Object.entries(record(properties)).map(([name, schema]) => [name, record(schema)]),
  );
}

/** {} for what is no object: a schema that says nothing. */
function record(value: unknown): Schema {
  return isObject(value) ? value : {};
}

/** `search_place` -> `Search_Place`, as Python's title(). */
function title(name: string): string {
  return name.toLowerCase().replace(/(?<!\p{L})\p{L}/gu, (letter) => letter.toUpperCase());
}
