/** This package as an engine of a comparison: the same runs as `minicpm bench` measures. */

import { loadBenchModel } from "./bench-model.ts";
import type { Engine, MiniCpmSpec } from "./engine.ts";
import { repeat } from "./measure.ts";
import { profiled, type Run, runOf } from "./run.ts";
import { type Workload, workloadHeld, workloadName } from "./workload.ts";

/** Throws as `loadBenchModel`. */
export async function openOwnEngine({
  model: reference,
  name,
  load,
  profile = false,
}: MiniCpmSpec): Promise<Engine> {
  const start = performance.now();
  const model = await loadBenchModel(reference, load, name);
  const loadSeconds = (performance.now() - start) / 1000;
  const { native, processor, denseLength } = model;
  const sparse = denseLength === undefined ? "" : `, sparse attention beyond ${denseLength} tokens`;
  let ready: { readonly name: string; readonly run: Run } | undefined;

  const runFor = (workload: Workload): Run => {
    const wanted = workloadName(workload);
    if (ready?.name === wanted) return ready.run;
    ready?.run.dispose();
    ready = undefined;
    ready = { name: wanted, run: runOf(model, workload) };
    return ready.run;
  };
  return {
    about: {
      engine: "minicpm",
      backend: `${native.device} ${native.isa}${sparse}`,
      threads: native.threads,
      processor,
      loadSeconds,
      variants: [""],
    },
    measure: async (workload, _variant, round) => {
      const run = runFor(workload);
      const counted = profile ? profiled(run, native) : undefined;
      const { cached: _, ...measured } = await repeat(model, workload, counted?.run ?? run, round);
      return {
        ...measured,
        leastBytes: run.work.bytes,
        plannedBytes: native.memoryPlan({ capacity: workloadHeld(workload), sequences: 1 }).total,
        ...(counted && { profile: counted.profile() }),
      };
    },
    close: async () => {
      ready?.run.dispose();
      await native.dispose();
    },
  };
}
