import { expect, test } from "vitest";
import { ChatTemplate } from "../../src/chat/template.ts";
import { withToolsAsText } from "../../src/chat/tool-prompt.ts";
import { openModel } from "../../src/model/load.ts";
import type { ToolDefinition } from "../../src/tools/tool.ts";

const user = { role: "user", content: "Hi" } as const;

function textOf(tool: ToolDefinition): string {
  const [system] = withToolsAsText([user], [tool]);
  return system?.content ?? "";
}

test("functions are written as MiniCPM3's function calling writes them", () => {
  const parameters = {
    type: "object",
    properties: {
      city: { type: "string", description: "City name" },
      unit: { type: "string", enum: ["celsius", "fahrenheit"], default: "celsius" },
      days: { type: "array", items: { type: "integer" } },
    },
    required: ["city"],
  };
  const tool = { name: "get_weather", description: "Current weather of a city.", parameters };
  const [system, ...rest] = withToolsAsText([{ role: "system", content: "You are helpful." }, user], [tool]);
  expect(rest).toEqual([user]);
  expect(system?.content).toMatch(
    /^You are helpful\.\n# Functions\nHere is a list of functions that you can invoke:/,
  );
  expect(system?.content).toContain(`\`\`\`python
from enum import Enum
from typing import List, Dict, Optional
from pydantic import BaseModel, Field



class Unit(Enum):
    enum_0 = "celsius"
    enum_1 = "fahrenheit"


def get_weather(city, unit="celsius", days=None):
    """Current weather of a city.

    Args:
        city: str = Field(..., description="City name")
        unit: Optional[Unit] = "celsius"
        days: Optional[List[int]] = None
    """

\`\`\`

# Function Call Rule and Output Format
`);
});

test("objects are classes of their own, inner ones first; types of all kinds have a name", () => {
  const place = {
    type: "object",
    properties: { post_code: { type: "integer" }, kind: { enum: ["home", 1] } },
    required: ["post_code"],
  };
  const properties = {
    search_place: place,
    stops: { type: "array", items: { type: "object", properties: { at: { type: "number", title: "At" } } } },
    prices: { type: "object", additionalProperties: { type: "number" } },
    note: { type: ["string", "null"], pattern: "a.b" },
    on: { type: "boolean", default: true },
    any: {},
  };
  const text = textOf({ name: "plan", parameters: { type: "object", properties } });
  expect(text).toContain(`

class Kind(Enum):
    enum_0 = "home"
    enum_1 = 1


class Search_Place(BaseModel):
    post_code: int
    kind: Optional[Kind] = None


class Stops(BaseModel):
    at: Optional[float] = Field(None, title="At")


def plan(search_place=None, stops=None, prices=None, note=None, on=True, any=None):
    """

    Args:
        search_place: Optional[Search_Place] = None
        stops: Optional[List[Stops]] = None
        prices: Optional[Dict[str, float]] = None
        note: Optional[Union[str, None]] = Field(None, regex="a.b")
        on: Optional[bool] = True
        any: Optional[Any] = None
    """
`);
});

test("schemas that are none say nothing, and hurt nothing", () => {
  for (const parameters of [
    { properties: 5 },
    { properties: { a: 5 } },
    { required: 5, properties: { a: {} } },
  ]) {
    expect(textOf({ name: "f", parameters })).toContain("def f(");
  }
});

test("a template without a place for tools gets them in the system message, where that is allowed", () => {
  const { tokenizer } = openModel("tiny");
  const template = new ChatTemplate(tokenizer, { file: "test", tokens: {}, toolsAsText: true });
  expect(template.hasTools).toBe(true);
  const pieces = template.render([user], { addGenerationPrompt: true, tools: [{ name: "now" }] });
  expect(pieces.map(({ text }) => text).join("")).toMatch(
    /^<\|im_start\|>system\n\n# Functions[\s\S]*def now\(\)[\s\S]*<\|im_end\|>\n<\|im_start\|>user\nHi<\|im_end\|>/,
  );
});
