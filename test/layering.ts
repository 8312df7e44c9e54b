/**
 * Who may know whom: the layers of the tree, and a checker that reads imports and includes.
 *
 * Arrows point down only. A folder may use itself and the folders listed for it, nothing else of ours; whatever is
 * listed nowhere is free (tests and benches may use everything).
 */

/** Each TypeScript layer under src/ with the layers it may import. `errors` is src/errors.ts, `index` src/index.ts. */
const typescriptLayers: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  native: ["errors"],
  model: ["native", "errors"],
  quantize: ["model", "native", "errors"],
  constraint: ["errors"],
  engine: ["constraint", "model", "native", "errors"],
  tools: ["errors"],
  chat: ["tools", "constraint", "engine", "model", "native", "errors"],
  index: ["chat", "tools", "constraint", "engine", "quantize", "model", "native", "errors"],
  agents: ["index", "chat", "tools", "errors"],
  server: ["index", "chat", "tools", "constraint", "engine", "model", "native", "errors"],
  gguf: ["model", "native", "errors"],
  convert: ["gguf", "quantize", "model", "native", "errors"],
  bench: ["gguf", "index", "chat", "tools", "engine", "model", "native", "errors"],
  cli: [
    "convert",
    "gguf",
    "bench",
    "server",
    "agents",
    "index",
    "chat",
    "tools",
    "constraint",
    "engine",
    "quantize",
    "model",
    "native",
    "errors",
  ],
};

/** Each C++ folder with the folders it may include. */
const nativeLayers: Readonly<Record<string, readonly string[]>> = {
  kernels: ["kernels/formats"],
  "kernels/formats": ["kernels"],
  "kernels/reference": ["kernels", "kernels/formats"],
  "kernels/cpu": ["kernels", "kernels/formats"],
  "kernels/simt": ["kernels"],
  "kernels/cuda": ["kernels", "kernels/formats", "kernels/simt"],
  "native/os": ["kernels"],
  "native/backend": ["native/os", "kernels/reference", "kernels/cpu", "kernels", "kernels/formats"],
  "native/cuda": ["native/backend", "kernels/cuda", "kernels"],
  "native/weights": ["native/backend", "native/os", "kernels", "kernels/formats"],
  "native/model": ["native/weights", "native/backend", "native/os", "kernels", "kernels/formats"],
  "native/engine": [
    "native/model",
    "native/weights",
    "native/backend",
    "native/os",
    "kernels",
    "kernels/formats",
  ],
  "native/quantize": [
    "native/engine",
    "native/model",
    "native/weights",
    "native/backend",
    "native/os",
    "kernels",
    "kernels/formats",
  ],
  "native/binding": [
    "native/quantize",
    "native/engine",
    "native/model",
    "native/weights",
    "native/backend",
    "native/os",
    "kernels/cpu",
    "kernels",
  ],
};

const operatingSystemHeader = /^(sys\/.*|unistd|fcntl|sched|pthread|dlfcn|windows|mach\/.*)(\.h|$)/;
const nodeApiHeader = /^(napi|node_api|js_native_api|uv)(-inl)?\.h$/;

/** Comments go, strings stay: `//` inside a string only ever hides the rest of one line. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|[^:"'`])\/\/.*$/gm, "$1");
}

/** "src/chat/chat.ts" is of layer "chat", "src/errors.ts" of layer "errors". */
function typescriptLayer(path: string): string {
  return path.split("/")[1]?.replace(/\.ts$/, "") ?? "";
}

function folder(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

/** "src/chat/chat.ts" and "../model/load.ts" give "src/model/load.ts". */
function resolve(from: string, specifier: string): string {
  const parts = folder(from).split("/");
  for (const part of specifier.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}

function checkTypescript(path: string, text: string): string[] {
  const found: string[] = [];
  const layer = typescriptLayer(path);
  const allowed = typescriptLayers[layer];
  if (!allowed) return [`${path}: layer "${layer}" is not in the picture; add it to test/layering.ts`];
  const code = withoutComments(text);

  for (const [, static_, dynamic] of code.matchAll(
    /\bfrom\s*["'](\.[^"']*)["']|\bimport\s*\(?\s*["'](\.[^"']*)["']/g,
  )) {
    const target = resolve(path, static_ ?? dynamic ?? "");
    if (!target.startsWith("src/")) {
      if (!target.endsWith("package.json")) found.push(`${path} imports ${target}, outside src/`);
      continue;
    }
    const to = typescriptLayer(target);
    if (to !== layer && !allowed.includes(to)) found.push(`${path} (${layer}) imports ${target} (${to})`);
  }
  const prints = /\bconsole\.\w+|\bprocess\.(exit\b|exitCode\b|stdout\b|stderr\b|stdin\b)/.exec(code);
  if (prints && layer !== "cli") found.push(`${path} uses ${prints[0]}; only src/cli prints and exits`);
  return found;
}

function checkNative(path: string, text: string): string[] {
  const found: string[] = [];
  const from = folder(path);
  const allowed = nativeLayers[from];
  if (!allowed) return [`${path}: folder "${from}" is not in the picture; add it to test/layering.ts`];

  for (const [, header = ""] of withoutComments(text).matchAll(/^\s*#\s*include\s*[<"]([^>"]+)[>"]/gm)) {
    if (nodeApiHeader.test(header) && from !== "native/binding") found.push(`${path} includes ${header}`);
    if (operatingSystemHeader.test(header) && from !== "native/os") found.push(`${path} includes ${header}`);
    if (!/^(kernels|native|test|bench|src)\//.test(header)) continue;
    const to = folder(header);
    if (to !== from && !allowed.includes(to)) found.push(`${path} includes ${header}`);
  }
  return found;
}

/**
 * Every upward arrow, as sentences; empty when all is well.
 *
 * @param files path from the repository's root -> text; only src/, kernels/ and native/ are judged.
 */
export function upwardArrows(files: ReadonlyMap<string, string>): string[] {
  const found: string[] = [];
  for (const [path, text] of files) {
    if (/^src\/.*\.ts$/.test(path)) found.push(...checkTypescript(path, text));
    else if (/^(kernels|native)\/.*\.(h|cpp|cuh|cu)$/.test(path)) found.push(...checkNative(path, text));
  }
  return found;
}
