import fc from "fast-check";
import { expect, test } from "vitest";
import { canBecomeNumber } from "../../src/constraint/number-prefix.ts";

test.each([
  [{ const: 42 }, "4", true],
  [{ const: 42 }, "5", false],
  [{ enum: [1.5, "x", -3] }, "1.", true],
  [{ enum: [1.5, "x", -3] }, "-3", true],
  [{ enum: [1.5, "x", -3] }, "3", false],
  [{ maximum: 10 }, "10", true],
  [{ maximum: 10 }, "12", false],
  [{ maximum: 10 }, "-99", true],
  [{ minimum: 0 }, "-0", true],
  [{ minimum: 1 }, "-", false],
  [{ minimum: 30, maximum: 40 }, "3", true],
  [{ minimum: 30, maximum: 40 }, "5", false],
  [{ minimum: 0.25, maximum: 0.5 }, "0.1", false],
  [{ minimum: 0.25, maximum: 0.5 }, "0.3", true],
  [{ anyOf: [{ type: "integer", maximum: 40 }, { type: "null" }] }, "4", true],
  [{ anyOf: [{ type: "integer", maximum: 40 }, { type: "null" }] }, "41", false],
  [{ anyOf: [{ type: "integer" }, { type: "string" }] }, "4.", false],
  [{ oneOf: [{ type: "integer" }, { minimum: 2 }] }, "4.", true],
  [{ oneOf: [{ type: "string" }, false] }, "4", false],
  [{ anyOf: [true, { type: "string" }] }, "4", true],
  [{}, "1e99", true],
  [{}, "1e999", false],
  [true, "1", true],
])("of %j the beginning %j: %j", (schema, text, possible) => {
  expect(canBecomeNumber(schema, text)).toBe(possible);
});

test("every beginning of a number within bounds can become one", () => {
  const number = fc.double({ min: -1e6, max: 1e6, noNaN: true }).map((value) => Number(value.toFixed(6)));
  fc.assert(
    fc.property(number, fc.nat(1e6), fc.nat(1e6), (value, below, above) => {
      const text = value.toFixed(6);
      const schema = { minimum: value - below / 100, maximum: value + above / 100 };
      for (let length = 1; length <= text.length; length++) {
        expect([schema, text, length, canBecomeNumber(schema, text.slice(0, length))]).toEqual([
          schema,
          text,
          length,
          true,
        ]);
      }
    }),
  );
});
