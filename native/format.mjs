// Formats C++ with the clang-format that npm installed. Usage: node native/format.mjs [--check]
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";

const files = execFileSync(
  "git",
  ["ls-files", "-co", "--exclude-standard", "*.h", "*.cpp", "*.cuh", "*.cu"],
  {
    encoding: "utf8",
  },
)
  .split("\n")
  .filter(Boolean);
const clangFormat = createRequire(import.meta.url).resolve("clang-format/index.js");
const mode = process.argv.includes("--check") ? ["--dry-run", "--Werror"] : ["-i"];
if (files.length > 0) {
  execFileSync(process.execPath, [clangFormat, ...mode, ...files], { stdio: "inherit" });
}
