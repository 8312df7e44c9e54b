/** Tools whose parameters are of every kind, for the tests of the forms of calls. */

const parameters = {
  type: "object",
  properties: {
    city: { type: "string" },
    days: { type: "array", items: { type: "integer", minimum: -9, maximum: 9 }, maxItems: 3 },
    unit: { enum: ["celsius", 'fahr"enheit', "it's", 7] },
    exact: { type: "boolean" },
    at: { anyOf: [{ type: "null" }, { type: "number" }] },
    more: {
      type: "object",
      properties: { a: { type: "string", maxLength: 5 } },
      additionalProperties: false,
    },
    日付: { type: "string", format: "date", pattern: "^\\d" },
  },
  required: ["city"],
};

export const weather = {
  name: "get_weather",
  parameters,
  /** What of the schema is kept while a call is made. */
  kept: { ...parameters, properties: { ...parameters.properties, 日付: { type: "string" } } },
};

export const tools = [
  weather,
  { name: "stop-all.now" },
  { name: "get_weathers", parameters: { properties: { x: { type: ["array", "number"] }, "a b": {} } } },
];
