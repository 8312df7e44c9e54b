/** What can be measured, and its name in llama-bench's manner: "pp512", "tg128 @ d4096". */

export type Workload =
  /** Reads `prompt` tokens behind `depth` held ones. */
  | { readonly kind: "prompt"; readonly prompt: number; readonly depth: number }
  /** Makes `generate` tokens in each of `sequences` sequences of `depth` tokens, all in one step loop. */
  | {
      readonly kind: "generate";
      readonly generate: number;
      readonly depth: number;
      readonly sequences: number;
    }
  /** A second turn: reads `prompt` tokens behind `cached` ones of the turn before, then makes `generate` tokens. */
  | { readonly kind: "turn"; readonly cached: number; readonly prompt: number; readonly generate: number };

/** Lists to combine. A prompt or generation of 0 tokens is none. */
export interface WorkloadLists {
  readonly prompts: readonly number[];
  readonly generations: readonly number[];
  readonly depths: readonly number[];
  /** For generations only: prompts are read one at a time. */
  readonly sequences: readonly number[];
  readonly turns: readonly Omit<Extract<Workload, { kind: "turn" }>, "kind">[];
}

/** Every combination: by depth, prompts before generations; then the turns. */
export function workloads({ prompts, generations, depths, sequences, turns }: WorkloadLists): Workload[] {
  const positive = (counts: readonly number[]) => counts.filter((count) => count > 0);
  return [
    ...depths.flatMap((depth): Workload[] => [
      ...positive(prompts).map((prompt) => ({ kind: "prompt", prompt, depth }) as const),
      ...positive(generations).flatMap((generate) =>
        sequences.map((count) => ({ kind: "generate", generate, depth, sequences: count }) as const),
      ),
    ]),
    ...turns.map((turn) => ({ kind: "turn", ...turn }) as const),
  ];
}

/** "pp512 @ d4096", "tg128 b8", "pp64+tg32 @ c1024" (c: cached). */
export function workloadName(workload: Workload): string {
  switch (workload.kind) {
    case "prompt":
      return `pp${workload.prompt}${at("d", workload.depth)}`;
    case "generate": {
      const batch = workload.sequences > 1 ? ` b${workload.sequences}` : "";
      return `tg${workload.generate}${at("d", workload.depth)}${batch}`;
    }
    case "turn":
      return `pp${workload.prompt}+tg${workload.generate}${at("c", workload.cached)}`;
  }
}

/** Tokens that a run reads and makes: what its tokens a second count. */
export function workloadTokens(workload: Workload): number {
  switch (workload.kind) {
    case "prompt":
      return workload.prompt;
    case "generate":
      return workload.generate * workload.sequences;
    case "turn":
      return workload.prompt + workload.generate;
  }
}

/** Tokens in a sequence at the end. */
export function workloadHeld(workload: Workload): number {
  switch (workload.kind) {
    case "prompt":
      return workload.depth + workload.prompt;
    case "generate":
      return Math.max(workload.depth, 1) + workload.generate;
    case "turn":
      return workload.cached + workload.prompt + workload.generate;
  }
}

function at(letter: string, tokens: number): string {
  return tokens > 0 ? ` @ ${letter}${tokens}` : "";
}
