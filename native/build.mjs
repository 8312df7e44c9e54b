// Builds the addon and the native test and bench programs with node-gyp, from headers that npm installed.
// Usage: node native/build.mjs [--addon | --sanitize address,undefined|thread]
// --addon      the addon alone, telling how far it is instead of what the compiler is told
// --sanitize   the test program alone, in build/<sanitizer>/
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { sanitize, addon: addonAlone } = parseArgs({
  options: { addon: { type: "boolean" }, sanitize: { type: "string", default: "" } },
}).values;
const nodeGyp = createRequire(import.meta.url).resolve("node-gyp/bin/node-gyp.js");

// node-gyp always builds in <directory>/build: a sanitized build gets a directory of links to the sources.
let directory = root;
if (sanitize) {
  directory = join(root, "build", sanitize.split(",")[0]);
  mkdirSync(directory, { recursive: true });
  for (const name of ["native", "kernels", "test", "bench", "node_modules", "package.json"]) {
    if (!existsSync(join(directory, name))) symlinkSync(join(root, name), join(directory, name));
  }
  cpSync(join(root, "binding.gyp"), join(directory, "binding.gyp"));
}

// A machine's own nodedir, which npm hands down to its scripts, would go before ours: other headers, other flags.
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^npm_.*nodedir$/i.test(name)),
);

// node-gyp's own options stand before "--", gyp's after it.
const gyp = async (command, options, ...forGyp) => {
  const own = ["--nodedir", join(root, "native", "headers"), "--loglevel", "warn", ...options];
  const words = [nodeGyp, command, ...own, "--", ...forGyp];
  if (addonAlone) await runShowingProgress(words);
  else execFileSync(process.execPath, words, { cwd: directory, env, stdio: "inherit" });
};

/** What it prints is shown only if it fails. */
async function runShowingProgress(words) {
  const child = spawn(process.execPath, words, { cwd: directory, env, stdio: ["ignore", "pipe", "pipe"] });
  const { stderr } = process;
  const log = [];
  let files = 0;
  const read = (line) => {
    log.push(line);
    const file = line.match(/^ {2}CXX\(target\) \S*?((?:kernels|native)\/\S+)\.o$/)?.[1];
    if (!file) return;
    files++;
    if (stderr.isTTY) stderr.write(`\r\x1b[KCompiling the engine: ${files}, ${file}.cpp`);
    else if (files === 1) stderr.write("Compiling the engine: two or three minutes on two cores\n");
  };
  for (const stream of [child.stdout, child.stderr]) createInterface(stream).on("line", read);
  const [code] = await once(child, "close");
  if (stderr.isTTY && files > 0) stderr.write("\r\x1b[K");
  if (code === 0) return;
  stderr.write(`${log.join("\n")}\nThe engine could not be built; the compiler's words are above.\n`);
  process.exit(1);
}

const targets = sanitize ? ["native_test"] : addonAlone ? ["minicpm"] : [];
await gyp("configure", [], ...(sanitize ? [`-Dsanitize=${sanitize}`] : []));
await gyp("build", ["--jobs", String(availableParallelism())], ...targets);
