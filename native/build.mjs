// Builds the addon and the native test and bench programs with node-gyp, from headers that npm installed.
// Usage: node native/build.mjs [--sanitize address,undefined|thread]   (of which the test program alone, in build/<sanitizer>/)
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const at = process.argv.indexOf("--sanitize");
const sanitize = at > 0 ? process.argv[at + 1] : "";
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
const gyp = (command, options, ...forGyp) => {
  const own = ["--nodedir", join(root, "native", "headers"), "--loglevel", "warn", ...options];
  execFileSync(process.execPath, [nodeGyp, command, ...own, "--", ...forGyp], {
    cwd: directory,
    env,
    stdio: "inherit",
  });
};

gyp("configure", [], ...(sanitize ? [`-Dsanitize=${sanitize}`] : []));
gyp("build", ["--jobs", String(availableParallelism())], ...(sanitize ? ["native_test"] : []));
