/** The program of an engine's process: answers what src/bench/engine-process.ts asks, one at a time, until its parent goes. */
import type { Engine, EngineSpec } from "../bench/engine.ts";
import type { EngineAnswer, EngineRequest } from "../bench/engine-process.ts";
import { openLlamaCpp } from "../bench/llama-cpp-engine.ts";
import { openOnnxRuntime } from "../bench/onnxruntime-engine.ts";
import { openOwnEngine } from "../bench/own-engine.ts";

let engine: Engine | undefined;
let rest = { time: performance.now(), cpu: process.cpuUsage() };

process.on("message", async (request: EngineRequest) => {
  process.send?.(await answer(request));
  rest = { time: performance.now(), cpu: process.cpuUsage() };
});
process.on("disconnect", () => process.exit());
process.on("SIGINT", () => {}); // Ctrl-C reaches the whole group; the parent says what it means

async function answer(request: EngineRequest): Promise<EngineAnswer> {
  try {
    const { user, system } = process.cpuUsage(rest.cpu);
    const resting = { idleCpu: (user + system) / 1e6, idle: (performance.now() - rest.time) / 1000 };
    if (request.do === "open") {
      engine = await open(request.spec);
      return { about: engine.about };
    }
    if (!engine) throw new Error("No engine is open.");
    const sample = await engine.measure(request.workload, request.variant, request.round);
    return { sample, usage: { ...resting, memoryBytes: process.memoryUsage.rss() } };
  } catch (error) {
    const { message, code } = error as Error & { readonly code?: unknown };
    return { error: { message: String(message), ...(typeof code === "string" && { code }) } };
  }
}

function open(spec: EngineSpec): Promise<Engine> {
  switch (spec.kind) {
    case "minicpm":
      return openOwnEngine(spec);
    case "llama.cpp":
      return openLlamaCpp(spec);
    case "onnxruntime":
      return openOnnxRuntime(spec);
  }
}
