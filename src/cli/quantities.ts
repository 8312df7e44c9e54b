/** Numbers as people read them: bytes, token counts, speeds, durations. */

const byteUnits = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** 10105720 -> "9.6 MiB". */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < byteUnits.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${byteUnits[unit]}`;
}

/** Token counts in the status line: 812 -> "812", 3174 -> "3.1K", 32768 -> "32K". Never rounds up past a limit. */
export function formatTokens(tokens: number): string {
  if (tokens < 1024) return String(tokens);
  const thousands = tokens / 1024;
  return `${thousands >= 10 ? Math.floor(thousands) : Math.floor(thousands * 10) / 10}K`;
}

/** Parameters of a model: 433_858_560 -> "434 M", 5_047_552 -> "5.05 M". */
export function formatParameters(count: number): string {
  const units = ["", " K", " M", " G", " T"];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return unit === 0 ? String(count) : `${value.toPrecision(3)}${units[unit]}`;
}

/** Tokens a second: "41 tok/s", "3.2 tok/s"; "" where nothing was measured. */
export function formatSpeed(tokensPerSecond: number): string {
  if (!Number.isFinite(tokensPerSecond) || tokensPerSecond <= 0) return "";
  return `${tokensPerSecond >= 10 ? tokensPerSecond.toFixed(0) : tokensPerSecond.toFixed(1)} tok/s`;
}

/** Milliseconds: "85 ms", "1.4 s", "2 min 5 s". */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${ms.toFixed(0)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
}

/** "1 line", "3 lines". */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
