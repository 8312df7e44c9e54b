// Puts the engines of src/constraint into dist/engines/. Usage: node src/constraint/engines/build.mjs
import { copyFileSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const packages = join(root, "node_modules");
const target = join(root, "dist", "engines");
mkdirSync(target, { recursive: true });

const structured = join(packages, "@huggingface", "transformers-structured-output");
buildSync({
  entryPoints: [join(structured, "src", "engine", "json.ts")],
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20",
  outfile: join(target, "json-schema.cjs"),
  legalComments: "inline",
});
copyFileSync(join(structured, "LICENSE"), join(target, "LICENSE"));

const require = createRequire(import.meta.url);
copyFileSync(
  join(dirname(require.resolve("@mlc-ai/web-xgrammar")), "index.js"),
  join(target, "xgrammar.cjs"),
);
copyFileSync(join(root, "src/constraint/engines/check-grammar.cjs"), join(target, "check-grammar.cjs"));
