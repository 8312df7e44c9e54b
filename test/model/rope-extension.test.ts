import { expect, test } from "vitest";
import { UnsupportedError } from "../../src/errors.ts";
import { longRope } from "../../src/model/config.ts";
import { extendedFactors, extendRope, isExtensible, nativeFactors } from "../../src/model/rope-extension.ts";

/** Some of the published lists: pair, native, extended. */
const published = {
  32768: [
    [0, 0.9977997200264581, 0.9977997200264581],
    [20, 4.048719380066383, 4.048719380066383],
    [21, 4.615569542115128, 4.752651957515948],
    [32, 16.717837610115794, 25.568260840911098],
    [45, 28.880393889607006, 103.57086856690864],
    [46, 29.237306864684626, 116.9492274587385],
    [63, 31.02392307921529, 124.09569231686116],
  ],
  65536: [
    [0, 0.998231608287044, 0.9982316082870437],
    [19, 6.28981896795635, 6.289818967956352],
    [32, 33.4634534536381, undefined],
    [63, 63.0085628064394, undefined],
  ],
} as const;

/** A config with the factors of a release. */
function made(length: 32768 | 65536, factors = nativeFactors(length)) {
  return { headDim: 128, maxContext: length, longRope: longRope(factors, factors, length, length) };
}

test.each([32768, 65536] as const)(
  "the factors of a release of %d tokens are the published ones",
  (length) => {
    const [native, extended] = [nativeFactors(length), extendedFactors(length)];
    for (const [pair, was, becomes] of published[length]) {
      expect(native[pair]).toBeCloseTo(was, 11);
      if (becomes !== undefined) expect(extended[pair]).toBeCloseTo(becomes, 11);
    }
  },
);

test("the last pairs are slowed down by all of the factor, the first by nothing", () => {
  const ratio = (pair: number) => (extendedFactors(65536)[pair] ?? 0) / (nativeFactors(65536)[pair] ?? 0);
  expect([0, 20, 46, 63].map(ratio).map((x) => Number(x.toFixed(9)))).toEqual([1, 1, 2, 2]);
});

test.each([32768, 65536] as const)("128k extends a model of %d tokens and leaves its magnitude", (length) => {
  const extended = extendRope("config.json", made(length), "128k");
  expect(extended).toMatchObject({ maxContext: 131072, longRope: { magnitude: 1, alwaysLong: false } });
  expect(extended.longRope?.shortFactor).toEqual(extended.longRope?.longFactor);
  expect(extended.longRope?.longFactor).toEqual(extendedFactors(length).map(Math.fround));
});

test("native changes nothing, and files with the factors of 128K become as long as those", () => {
  const config = made(32768);
  expect(extendRope("config.json", config, "native")).toBe(config);
  const edited = extendRope("config.json", made(32768, extendedFactors(32768)), "128k");
  expect(edited).toEqual(extendRope("config.json", config, "128k"));
});

test.each([
  ["no LongRoPE", { headDim: 128, maxContext: 32768 }],
  ["heads of 64 dimensions", { ...made(32768), headDim: 64 }],
  ["another original length", made(32768, nativeFactors(65536))],
  [
    "other factors",
    made(
      32768,
      nativeFactors(32768).map((factor, i) => (i === 40 ? 1.01 : 1) * factor),
    ),
  ],
])("a model with %s has no extension", (_, config) => {
  expect(isExtensible(config)).toBe(false);
  expect(() => extendRope("config.json", config, "128k")).toThrow(UnsupportedError);
  expect(() => extendRope("config.json", config, "128k")).toThrow(/config\.json.*rope "native"/);
});
