/** Engines that take no time: each run's rate is read from a list. */
import type { Engine, EngineAbout, Sample } from "../../src/bench/engine.ts";
import type { Contender } from "../../src/bench/versus.ts";

export interface ScriptedRun {
  readonly engine: string;
  readonly variant: number;
  readonly round: number;
}

/**
 * @param rates by variant, then by round from 1 on; the warm-up has a rate that no test expects.
 * @param log gets every run in its order
 */
export function scriptedContender(
  name: string,
  rates: Readonly<Record<string, readonly number[]>>,
  log: ScriptedRun[] = [],
  sample: Partial<Sample> = {},
): Contender {
  const variants = Object.keys(rates);
  const about: EngineAbout = { engine: name, backend: "made", threads: 2, loadSeconds: 0, variants };
  const engine: Engine = {
    about,
    measure: async (_workload, variant, round) => {
      log.push({ engine: name, variant, round });
      const tokensPerSecond = round === 0 ? 1e9 : (rates[variants[variant] ?? ""]?.[round - 1] ?? Number.NaN);
      return { seconds: 1 / tokensPerSecond, tokensPerSecond, ...sample };
    },
    close: async () => {},
  };
  return { model: `weights of ${name}`, engine, weightBytes: 50 };
}
