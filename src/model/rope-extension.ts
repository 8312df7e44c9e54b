/**
 * The extension to 128K tokens that the cards of MiniCPM4-8B and MiniCPM4.1-8B describe: other LongRoPE factors in both
 * lists (arXiv:2402.13753), nothing else.
 *
 * With i the pair of dimensions, s the factor of length (4 from 32K, 2 from 64K):
 *
 *   native_i   = a + B / (1 + exp(-k (i - 31.5)))
 *   extended_i = native_i * round(1 / (1 - g_i (1 - 1 / s)), 4 decimals),  g_i = clip((i - 20) / 26, 0, 1)
 *
 * which are the published lists to twelve digits.
 */
import { UnsupportedError } from "../errors.ts";
import type { LongRope, ModelConfig } from "./config.ts";

/** `native`: as the model's files say. `128k`: by the extension of its card. */
export const ropeModes = ["native", "128k"] as const;
export type RopeMode = (typeof ropeModes)[number];

/** Tokens that the extension is for. */
export const extendedContext = 131072;

const pairs = 64;

/** What is native to a release: original_max_position_embeddings and the numbers above. */
interface NativeFactors {
  readonly length: number;
  readonly a: number;
  readonly b: number;
}

const releases: readonly NativeFactors[] = [
  { length: 32768, a: 0.91577346704773, b: 30.1901758651463 },
  { length: 65536, a: 0.82882994916152, b: 62.349134516402 },
];

/** Of the factors of a release, from the first pair of dimensions on. */
export function nativeFactors(length: number): readonly number[] {
  const release = releases.find((each) => each.length === length);
  if (!release) throw new RangeError(`no release has ${length} tokens`);
  const { a, b } = release;
  return Array.from({ length: pairs }, (_, i) => a + b / (1 + Math.exp(-0.18747656542932 * (i - 31.5))));
}

/** Those of the card's recipe for 128K tokens. */
export function extendedFactors(length: number): readonly number[] {
  const kept = length / extendedContext;
  return nativeFactors(length).map((factor, i) => {
    const ramp = Math.min(1, Math.max(0, (i - 20) / 26));
    return factor * (Math.round(1e4 / (1 - ramp * (1 - kept))) / 1e4);
  });
}

/** Whether the model's files have the factors of a release, so that `128k` can extend them. */
export function isExtensible(config: Pick<ModelConfig, "longRope" | "headDim">): boolean {
  return extensionOf(config) !== undefined;
}

/**
 * The config with the factors of `mode`. A model whose files have those of 128K already is made for as many tokens.
 *
 * @param file named in errors
 * @throws UnsupportedError where the model's factors are of no release that has the extension.
 */
export function extendRope<Config extends Pick<ModelConfig, "longRope" | "headDim" | "maxContext">>(
  file: string,
  config: Config,
  mode: RopeMode,
): Config {
  if (mode === "native") return config;
  const longRope = extensionOf(config);
  if (longRope) return { ...config, longRope, maxContext: extendedContext };
  throw new UnsupportedError(
    `The extension to 128K tokens for this model (${file})`,
    "There is one for MiniCPM4-8B and MiniCPM4.1-8B, whose config.json has their LongRoPE factors; load others with " +
      'rope "native", Qwen3 with a rope_scaling of type yarn in its config.json.',
  );
}

/** Both lists are the same, so that no length changes them. */
function extensionOf({ longRope, headDim }: Pick<ModelConfig, "longRope" | "headDim">): LongRope | undefined {
  if (!longRope || headDim !== 2 * pairs) return undefined;
  const { shortFactor, longFactor, originalLength } = longRope;
  const release = releases.find(({ length }) => length === originalLength);
  if (!release) return undefined;
  const factors = extendedFactors(release.length).map(Math.fround);
  const known = [nativeFactors(release.length), factors];
  const isKnown = known.some((list) => areClose(shortFactor, list) && areClose(longFactor, list));
  if (!isKnown) return undefined;
  return { ...longRope, shortFactor: factors, longFactor: factors, originalLength: extendedContext };
}

/** Equal but for the rounding of files. */
function areClose(found: readonly number[], wanted: readonly number[]): boolean {
  return found.length === wanted.length && found.every((x, i) => Math.abs(x / (wanted[i] ?? 0) - 1) < 1e-5);
}
