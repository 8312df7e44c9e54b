import { OptionError } from "../errors.ts";

/** What every options object is checked for first, so that plain JavaScript gets an error that names what is wrong. */
export function checkOptions(options: { readonly signal?: AbortSignal | undefined } | object): void {
  if (typeof options !== "object" || options === null) throw new OptionError("options", "an object", options);
  const { signal } = options as { readonly signal?: unknown };
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new OptionError("signal", "an AbortSignal", signal);
  }
}

/** `value`, where it is one of `values`. @throws OptionError naming `option` */
export function oneOf<Value extends string | number>(
  option: string,
  value: Value,
  values: readonly Value[],
): Value {
  if (values.includes(value)) return value;
  throw new OptionError(option, values.map((each) => JSON.stringify(each)).join(" or "), value);
}

/** The signal in options that are not checked yet. */
export function signalOf(options: { readonly signal?: AbortSignal | undefined }): AbortSignal | undefined {
  const signal: unknown = options?.signal;
  return signal instanceof AbortSignal ? signal : undefined;
}
