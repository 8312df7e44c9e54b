import { expect, test } from "vitest";
import { SettingError, settingOf, shownValue } from "../../src/cli/settings.ts";

const parse = (name: string, text: string) => settingOf(name)?.parse(text);

test("a setting is found by its field and by its flag", () => {
  expect(settingOf("topK")).toBe(settingOf("top-k"));
  expect(settingOf("topk")).toBeUndefined();
});

test.each([
  ["temperature", "0.5", 0.5],
  ["topK", "40", 40],
  ["seed", "7", 7],
  ["seed", "18446744073709551615", 2n ** 64n - 1n],
  ["seed", "random", undefined],
  ["thinking", "off", false],
  ["stop", "\n", ["\n"]],
  ["logitBias", "42=-5", { 42: -5 }],
])("%s takes %j", (name, text, value) => {
  expect(parse(name, text)).toEqual(value);
});

test.each([
  ["temperature", "-1", /0 to 100/],
  ["temperature", "warm", /number/],
  ["temperature", "", /number/],
  ["topK", "1.5", /integer/],
  ["topP", "1.1", /0 to 1/],
  ["seed", "-1", /integer/],
  ["seed", "18446744073709551616", /2\^64/],
  ["maxTokens", "0", /1 or more/],
  ["thinking", "maybe", /on/],
  ["logitBias", "a=b", /TOKEN=BIAS/],
  ["logprobs", "21", /0 to 20/],
])("%s refuses %j", (name, text, reason) => {
  expect(() => parse(name, text)).toThrow(SettingError);
  expect(() => parse(name, text)).toThrow(reason);
});

test("values are shown as they are written", () => {
  expect([undefined, true, 7n, ["a"], 0.5].map(shownValue)).toEqual(["default", "on", "7", '["a"]', "0.5"]);
});
