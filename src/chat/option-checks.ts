import { OptionError } from "../errors.ts";

/** What every options object is checked for first, so that plain JavaScript gets an error that names what is wrong. */
export function checkOptions(options: { readonly signal?: AbortSignal | undefined } | object): void {
  if (typeof options !== "object" || options === null) throw new OptionError("options", "an object", options);
  const { signal } = options as { readonly signal?: unknown };
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new OptionError("signal", "an AbortSignal", signal);
  }
}

/** The signal in options that are not checked yet. */
export function signalOf(options: { readonly signal?: AbortSignal | undefined }): AbortSignal | undefined {
  const signal: unknown = options?.signal;
  return signal instanceof AbortSignal ? signal : undefined;
}
