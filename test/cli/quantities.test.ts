import { expect, test } from "vitest";
import {
  formatBytes,
  formatDuration,
  formatParameters,
  formatSpeed,
  formatTokens,
  plural,
} from "../../src/cli/quantities.ts";

test("bytes are told in binary units", () => {
  expect([0, 1023, 1024, 10105720, 250 * 2 ** 20, 3 * 2 ** 40].map(formatBytes)).toEqual([
    "0 B",
    "1023 B",
    "1.0 KiB",
    "9.6 MiB",
    "250 MiB",
    "3.0 TiB",
  ]);
});

test("token counts never round up past a limit", () => {
  expect([0, 812, 1024, 3174, 32767, 32768].map(formatTokens)).toEqual([
    "0",
    "812",
    "1K",
    "3K",
    "31K",
    "32K",
  ]);
  expect(formatTokens(3277)).toBe("3.2K");
});

test("parameters have three digits", () => {
  expect([999, 5_047_552, 433_858_560].map(formatParameters)).toEqual(["999", "5.05 M", "434 M"]);
});

test("a speed that was not measured is not told", () => {
  expect([0, Number.NaN, 3.21, 41.4].map(formatSpeed)).toEqual(["", "", "3.2 tok/s", "41 tok/s"]);
});

test("durations change unit at a second and at a minute", () => {
  expect([85, 1400, 125_000].map(formatDuration)).toEqual(["85 ms", "1.4 s", "2 min 5 s"]);
});

test("one is singular, nothing else is", () => {
  expect([0, 1, 2].map((count) => plural(count, "line"))).toEqual(["0 lines", "1 line", "2 lines"]);
});
