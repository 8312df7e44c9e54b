/** Turns errors of native code, which carry a code and the facts, into the classes of errors.ts. */
import {
  CheckpointError,
  ContextOverflowError,
  DeviceError,
  type MiniCpmError,
  OutOfMemoryError,
  ShapeError,
  StateError,
  StorageError,
} from "../errors.ts";

/** What the addon throws: `nativeCode` is the name in kernels/error.h, `fields` are the facts listed there. */
interface NativeError extends Error {
  readonly nativeCode: keyof typeof table;
  readonly fields: readonly string[];
}

const table = {
  kShape: ({ message }: NativeError) => new ShapeError(message),
  kCheckpoint: ({ fields: [file = "", tensor = "", expected = "", found = ""] }: NativeError) =>
    new CheckpointError(file, tensor, expected, found),
  kOutOfMemory: ({ fields: [needed, free, remedy = ""] }: NativeError) =>
    new OutOfMemoryError(Number(needed), Number(free), remedy),
  kDevice: ({ message, fields: [asked, ...present] }: NativeError) =>
    asked === undefined ? new DeviceError("", [], message) : new DeviceError(asked, present),
  kContext: ({ fields: [needed, capacity] }: NativeError) =>
    new ContextOverflowError(Number(needed), Number(capacity)),
  kStorage: ({ fields: [path = "", reason = ""] }: NativeError) => new StorageError(path, reason),
  kState: ({ message }: NativeError) => new StateError(message),
} satisfies Record<string, (error: NativeError) => MiniCpmError>;

/** The public form of an error: a class of errors.ts for native ones, anything else as it is. */
export function publicError(error: unknown): unknown {
  if (error instanceof Error && "nativeCode" in error) {
    const native = error as NativeError;
    return table[native.nativeCode](native);
  }
  return error;
}

/** Calls into native code; what it throws is in its public form. */
export function withPublicErrors<Value>(call: () => Value): Value {
  try {
    return call();
  } catch (error) {
    throw publicError(error);
  }
}
