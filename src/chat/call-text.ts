import type { JsonValue, ToolCall } from "../tools/tool.ts";
import type { Message } from "./message.ts";
import { callsEnd, callsStart } from "./python-calls.ts";

/** Calls as MiniCPM4 writes them, a line each: `get_weather(city="Oslo",days=[1, 2])`. */
export function callText(calls: readonly ToolCall[]): string {
  const lines = calls.map(({ name, arguments: given }) => {
    const pairs = Object.entries(given).map(([parameter, value]) => `${parameter}=${spacedJson(value)}`);
    return `${name}(${pairs.join(",")})\n`;
  });
  return `${callsStart}\n\`\`\`python\n${lines.join("")}\`\`\`\n${callsEnd}\n`;
}

/** For templates that know no calls: the message with its calls in its text. */
export function withCallsAsText({ calls = [], ...message }: Message): Message {
  return calls.length === 0 ? message : { ...message, content: callText(calls) + message.content };
}

/** JSON with a space behind each comma and colon, as Python's json.dumps and Jinja's tojson write it. */
function spacedJson(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map(spacedJson).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).map(
    ([name, field]) => `${JSON.stringify(name)}: ${spacedJson(field)}`,
  );
  return `{${fields.join(", ")}}`;
}
