import { draft4 } from "json-schema-test-suite";
import { expect, test } from "vitest";
import { jsonMachine } from "../../src/constraint/json-machine.ts";
import { jsonSchemaOf } from "../../src/constraint/json-schema.ts";
import { ConstraintError } from "../../src/errors.ts";
import { accepts } from "./made.ts";

/** Of its optional files: integers that JSON.stringify writes with an exponent, and 1.0, which it writes as 1. */
const leftOut = ["bignum", "zeroTerminatedFloats"];

/** JSON-Schema-Test-Suite, draft 4: the newest that a package registry has. */
const groups = draft4()
  .filter(({ name }) => !leftOut.includes(name))
  .flatMap(({ name, schemas }) => schemas.map((group) => ({ name, ...group })));

/** Undefined where the schema is refused. */
function machineOf(schema: unknown) {
  try {
    return jsonMachine(jsonSchemaOf(schema));
  } catch (error) {
    if (error instanceof ConstraintError) return undefined;
    throw error;
  }
}

const taken = groups.flatMap((group) => {
  const machine = machineOf(group.schema);
  return machine ? [{ ...group, machine }] : [];
});

test.each(taken)("$name, $description: an instance passes where it is valid", ({ machine, tests }) => {
  for (const { description, data, valid } of tests) {
    expect([description, accepts(machine, JSON.stringify(data))]).toEqual([description, valid]);
  }
});

test("most schemas of the suite are taken, the others refused aloud", () => {
  const refused = groups.filter(({ schema }) => machineOf(schema) === undefined);
  const reasons = new Set(refused.map(({ name }) => name));
  expect(taken.length + refused.length).toBe(groups.length);
  expect(taken.length).toBeGreaterThan(55);
  expect([...reasons].sort()).toMatchInlineSnapshot(`
    [
      "definitions",
      "format",
      "maximum",
      "minimum",
      "pattern",
      "ref",
      "refRemote",
    ]
  `);
});
