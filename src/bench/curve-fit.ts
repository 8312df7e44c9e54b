/** Numbers at lengths that were not measured: seconds a token, and bytes, are affine in the tokens before it. */

export interface Place {
  readonly x: number;
  readonly y: number;
}

/**
 * Least squares of the relative errors, so that short lengths, which take little time, count as much as long ones. Nothing
 * falls with the length: a slope below 0 is 0.
 *
 * @param places with y above 0
 * @returns undefined for fewer than two x
 */
export function affineFit(places: readonly Place[]): ((x: number) => number) | undefined {
  if (new Set(places.map(({ x }) => x)).size < 2) return undefined;
  let [w, wx, wy, wxx, wxy] = [0, 0, 0, 0, 0];
  for (const { x, y } of places) {
    const weight = 1 / y ** 2;
    w += weight;
    wx += weight * x;
    wy += weight * y;
    wxx += weight * x * x;
    wxy += weight * x * y;
  }
  const slope = Math.max(0, (w * wxy - wx * wy) / (w * wxx - wx * wx));
  const base = (wy - slope * wx) / w;
  return (x) => base + slope * x;
}

/**
 * The area under the places up to `end`: between two of them a straight line, before the first as high as there.
 *
 * @param places in the order of x, one of them at `end`
 */
export function areaUnder(places: readonly Place[], end: number): number {
  let area = 0;
  let before: Place = { x: 0, y: places[0]?.y ?? 0 };
  for (const place of places) {
    if (place.x > end) break;
    area += ((before.y + place.y) / 2) * (place.x - before.x);
    before = place;
  }
  return area;
}
