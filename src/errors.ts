/** Every error class of the library: fields first, then a sentence that says what happened and what to do. */
import { inspect } from "node:util";

/** The base of all errors that this library throws on purpose (a cancelled call rejects with AbortError). */
export abstract class MiniCpmError extends Error {
  /** Stable, upper-case, for programs. */
  abstract readonly code: string;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** No native addon could be loaded. */
export class AddonNotFoundError extends MiniCpmError {
  readonly code = "ADDON_NOT_FOUND";

  constructor(
    readonly path: string,
    readonly reason: string,
  ) {
    super(
      `The native addon ${path} could not be loaded: ${reason}. Build it with \`npm run build\` in a clone of the ` +
        `package (this is ${process.platform}-${process.arch}, Node ${process.versions.node}); outside the clone, set ` +
        "MINICPM_BINARY to the build/Release/minicpm.node that was built there.",
    );
  }
}

/** The name or path given is no model we can find. */
export class ModelNotFoundError extends MiniCpmError {
  readonly code = "MODEL_NOT_FOUND";

  constructor(
    readonly model: string,
    readonly searched: readonly string[],
  ) {
    super(
      `There is no model "${model}". Looked at: ${searched.join(", ")}. ` +
        (/^[\w-][\w.-]*\/[\w.-]+$/.test(model) ? `Fetch it (hf download ${model}), or give` : "Give") +
        " a folder with config.json and model.safetensors, or a .gguf file.",
    );
  }
}

/** A model file is not what it should be. */
export class CheckpointError extends MiniCpmError {
  readonly code = "CHECKPOINT";

  constructor(
    readonly file: string,
    /** The tensor or field that is wrong, or "" where the whole file is. */
    readonly tensor: string,
    readonly expected: string,
    readonly found: string,
    options?: ErrorOptions,
  ) {
    super(
      `${file}${tensor && `, ${tensor}`}: expected ${expected}, found ${found}. ` +
        "Fetch the file again, or check that its config.json belongs to it.",
      options,
    );
  }
}

/** The model or the request needs something this version does not do. */
export class UnsupportedError extends MiniCpmError {
  readonly code = "UNSUPPORTED";

  constructor(
    readonly what: string,
    readonly instead: string,
  ) {
    super(`${what} is not supported. ${instead}`);
  }
}

/** The model's chat template cannot write these messages. */
export class TemplateError extends MiniCpmError {
  readonly code = "TEMPLATE";

  constructor(
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(
      `The model's chat template refuses the messages: ${reason}. ` +
        "Change their roles or order, or use complete() with a prompt of your own.",
      options,
    );
  }
}

/** The conversation plus the requested answer is longer than the KV cache. */
export class ContextOverflowError extends MiniCpmError {
  readonly code = "CONTEXT_OVERFLOW";

  constructor(
    readonly needed: number,
    readonly capacity: number,
  ) {
    super(
      `${needed} tokens do not fit a context of ${capacity}. ` +
        `Drop early messages, or load with { contextLength: ${needed} } or more if the model can hold so many.`,
    );
  }
}

/** Memory that was asked for is not there. */
export class OutOfMemoryError extends MiniCpmError {
  readonly code = "OUT_OF_MEMORY";

  constructor(
    readonly neededBytes: number,
    readonly freeBytes: number,
    /** The option that makes it smaller, as a sentence. */
    readonly remedy: string,
  ) {
    super(
      `${(neededBytes / 2 ** 20).toFixed(0)} MiB are needed, ${(freeBytes / 2 ** 20).toFixed(0)} MiB are free. ${remedy}`,
    );
  }
}

/** The device asked for is not on this machine, or fails. */
export class DeviceError extends MiniCpmError {
  readonly code = "DEVICE";

  constructor(
    /** "" where a device that is here has failed. */
    readonly asked: string,
    readonly present: readonly string[],
    /** What is wrong, as a sentence. Default: it is not here. */
    reason?: string,
  ) {
    super(
      reason ??
        `There is no device or instruction set "${asked}" here. ` +
          `Take one of ${present.join(", ")} (option device, or MINICPM_CPU in the environment).`,
    );
  }
}

/** Tensors handed to an op do not fit each other: a bug in this library, or a config that got past its checks. */
export class ShapeError extends MiniCpmError {
  readonly code = "SHAPE";
}

/** Another engine that a benchmark should compare with is not installed. */
export class PeerNotFoundError extends MiniCpmError {
  readonly code = "PEER_NOT_FOUND";

  constructor(
    /** Its npm package. */
    readonly peer: string,
    readonly searched: readonly string[],
    /** The command that installs it. */
    readonly install: string,
  ) {
    super(`${peer} is not installed. Looked at: ${searched.join(", ")}. Install it with: ${install}`);
  }
}

/** A file that was to be written could not be. What was saved before is whole. */
export class StorageError extends MiniCpmError {
  readonly code = "STORAGE";

  constructor(
    readonly path: string,
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(
      `${path} could not be written: ${reason}. Free space or take another place; what was saved before is whole.`,
      options,
    );
  }
}

/** What should be a saved session is none. */
export class SavedSessionError extends MiniCpmError {
  readonly code = "SAVED_SESSION";

  constructor(
    readonly path: string,
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(
      `${path} holds no session that can be loaded: ${reason}. Give a folder that session.save made.`,
      options,
    );
  }
}

/** The object is disposed, or its present state does not allow the call. */
export class StateError extends MiniCpmError {
  readonly code = "STATE";
}

/** An MCP server is not there, or does not answer as it should. */
export class McpServerError extends MiniCpmError {
  readonly code = "MCP_SERVER";

  constructor(
    readonly server: string,
    /** What happened, as a clause. */
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(`MCP server ${server}: ${reason}. \`minicpm mcp list --mcp FILE\` shows how servers are.`, options);
  }
}

/** A list of MCP servers is none. */
export class McpConfigError extends MiniCpmError {
  readonly code = "MCP_CONFIG";

  constructor(
    readonly file: string,
    /** What is wrong where, as a clause. */
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(
      `${file}: ${reason}. It has to be {"mcpServers": {NAME: {"command", "args", "env"} or {"url", "headers"}}}.`,
      options,
    );
  }
}

/** An answer cannot be held to what was asked of it. */
export class ConstraintError extends MiniCpmError {
  readonly code = "CONSTRAINT";

  constructor(
    /** What the answer was to keep: "schema", "grammar", "tool NAME". */
    readonly what: string,
    /** Why it cannot, as a clause. */
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(
      `The answer cannot be held to the ${what}: ${reason}. Change the ${what}, or leave it out.`,
      options,
    );
  }
}

/** An option has a value outside its range. */
export class OptionError extends MiniCpmError {
  readonly code = "OPTION";

  constructor(
    readonly option: string,
    readonly expected: string,
    readonly found: unknown,
  ) {
    super(`${option} must be ${expected}, not ${inspect(found, { depth: 1, maxStringLength: 60 })}.`);
  }
}

/** A call ended by its AbortSignal. `partial` is the result so far, where the call makes one. */
export class AbortError extends Error {
  override readonly name = "AbortError";
  readonly code = "ABORT_ERR";

  constructor(
    readonly partial?: unknown,
    options?: ErrorOptions,
  ) {
    super("The call was aborted.", options);
  }
}
