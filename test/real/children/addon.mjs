// What the child programs share: the addon by its path, and a plan made by the test that started them.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { greedy } from "../../../dist/engine/sampling.js";

/** argv: addon, plan.json, then the program's own words. */
export function childArguments() {
  const [, , addonPath, planPath, ...words] = process.argv;
  return {
    addon: createRequire(import.meta.url)(addonPath),
    plan: JSON.parse(readFileSync(planPath, "utf8")),
    words,
  };
}

export function decodeOptions(count) {
  return { count, stopTokens: new Int32Array(), sampling: greedy };
}
