import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { upwardArrows } from "./layering.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

function tree(): Map<string, string> {
  const files = new Map<string, string>();
  for (const top of ["src", "kernels", "native"]) {
    for (const name of readdirSync(join(root, top), { recursive: true, encoding: "utf8" })) {
      if (!/\.(ts|h|cpp|cuh|cu)$/.test(name)) continue;
      const path = `${top}/${name.replaceAll("\\", "/")}`;
      files.set(path, readFileSync(join(root, path), "utf8"));
    }
  }
  return files;
}

const check = (path: string, text: string) => upwardArrows(new Map([[path, text]]));

test("every arrow of this tree points down", () => {
  const files = tree();
  expect(files.size).toBeGreaterThan(20);
  expect(upwardArrows(files)).toEqual([]);
});

test.each([
  ["src/model/load.ts", 'import { chat } from "../chat/chat.ts";'],
  ["src/native/binding.ts", 'import type { Config } from "../model/config.ts";'],
  ["src/engine/generate.ts", 'export { chat } from "../chat/chat.ts";'],
  ["src/chat/chat.ts", 'const cli = await import("../cli/main.ts");'],
  ["src/tools/tool.ts", 'import "../model/load.ts";'],
  ["src/errors.ts", 'import { load } from "./model/load.ts";'],
  ["src/chat/chat.ts", 'import {\n  one,\n  two,\n} from "../index.ts";'],
  ["src/model/load.ts", 'import { made } from "../../test/made.ts";'],
  ["src/engine/generate.ts", 'console.error("no");'],
  ["src/chat/chat.ts", "process.exit(1);"],
  ["src/misc/odd.ts", ""],
  ["kernels/linear.h", '#include "native/backend/backend.h"'],
  ["kernels/cpu/linear.cpp", "#include <napi.h>"],
  ["kernels/reference/linear.cpp", '#include "kernels/cpu/workers.h"'],
  ["kernels/simt/warp.cpp", '#include "kernels/cuda/port.h"'],
  ["kernels/cpu/linear.cpp", '#include "kernels/simt/machine.h"'],
  ["native/model/minicpm4.cpp", '#include "native/engine/step_loop.h"'],
  ["native/backend/backend.h", '#include "native/weights/mapped.h"'],
  ["native/engine/model.h", "# include <napi.h>"],
  ["native/weights/file.cpp", "#include <sys/mman.h>"],
  ["native/odd/file.h", ""],
])("an upward arrow in %s is found: %s", (path, text) => {
  expect(check(path, text)).toHaveLength(1);
});

test.each([
  ["src/chat/chat.ts", 'import { generate } from "../engine/generate.ts"; import { E } from "../errors.ts";'],
  ["src/cli/chat.ts", 'import { loadModel } from "../index.ts"; process.stdout.write("a");'],
  ["src/model/load.ts", '// import { chat } from "../chat/chat.ts";\n/* console.log */ import "node:fs";'],
  ["native/os/linux.cpp", "#include <sys/mman.h>"],
  ["native/binding/addon.cpp", '#include <napi.h>\n#include "native/engine/model.h"'],
  ["kernels/cpu/linear.cpp", '#include "kernels/linear.h"\n#include <immintrin.h>'],
  ["test/native/engine_test.cpp", '#include "native/binding/addon.h"'],
])("a downward arrow in %s is fine: %s", (path, text) => {
  expect(check(path, text)).toEqual([]);
});
