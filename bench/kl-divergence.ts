/** How far the next-token distributions of two engines are apart, from the logits of each. All sums are double. */

/** Over all positions of a text. */
export interface Divergence {
  readonly positions: number;
  readonly vocabulary: number;
  /** Mean over positions of KL(theirs || ours), nats. */
  readonly mean: number;
  /** The largest of them. */
  readonly max: number;
  /** The position of the largest. */
  readonly maxAt: number;
  /** Positions at which both have the same best token. */
  readonly sameBest: number;
  /** The largest difference of log-probabilities among tokens to which `theirs` gives 1e-6 or more, nats. */
  readonly logProbabilityGap: number;
}

/**
 * Compares position by position.
 *
 * @param theirs the reference distributions' logits, `[positions][vocabulary]`
 * @param ours those to judge, in the same shape
 * @throws RangeError where shapes differ, there is no position, or a logit is no finite number
 */
export function divergence(theirs: readonly Float32Array[], ours: readonly Float32Array[]): Divergence {
  const vocabulary = theirs[0]?.length ?? 0;
  if (theirs.length !== ours.length || vocabulary === 0) {
    throw new RangeError(`${theirs.length} positions of theirs against ${ours.length} of ours`);
  }
  let total = 0;
  let max = Number.NEGATIVE_INFINITY;
  let maxAt = 0;
  let sameBest = 0;
  let logProbabilityGap = 0;
  for (const [position, reference] of theirs.entries()) {
    const judged = ours[position] as Float32Array;
    if (reference.length !== vocabulary || judged.length !== vocabulary) {
      throw new RangeError(`position ${position}: ${reference.length} logits against ${judged.length}`);
    }
    const p = logProbabilities(reference);
    const q = logProbabilities(judged);
    const kl = klDivergence(p, q);
    if (!Number.isFinite(kl)) throw new RangeError(`position ${position}: a logit is not a finite number`);
    total += kl;
    if (kl > max) [max, maxAt] = [kl, position];
    if (best(p) === best(q)) ++sameBest;
    logProbabilityGap = Math.max(logProbabilityGap, largestGap(p, q));
  }
  const positions = theirs.length;
  return { positions, vocabulary, mean: total / positions, max, maxAt, sameBest, logProbabilityGap };
}

/** Log-softmax: logits - ln(sum of exp(logits)). */
export function logProbabilities(logits: Float32Array): Float64Array {
  const highest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - highest), 0);
  const logSum = Math.log(sum);
  return Float64Array.from(logits, (logit) => logit - highest - logSum);
}

/** KL(p || q) = sum of p (ln p - ln q), nats, from log-probabilities. */
export function klDivergence(p: Float64Array, q: Float64Array): number {
  return p.reduce((total, logP, token) => total + Math.exp(logP) * (logP - (q[token] ?? Number.NaN)), 0);
}

/** The token with the highest value; the first of equals. */
function best(values: Float64Array): number {
  return values.reduce((top, value, token) => (value > (values[top] as number) ? token : top), 0);
}

const leastLogProbability = Math.log(1e-6);

function largestGap(p: Float64Array, q: Float64Array): number {
  return p.reduce(
    (gap, logP, token) =>
      logP < leastLogProbability ? gap : Math.max(gap, Math.abs(logP - (q[token] as number))),
    0,
  );
}
