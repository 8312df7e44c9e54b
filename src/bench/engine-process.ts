/**
 * An engine in a child process of its own, so that engines do not disturb each other: no shared threads, heaps or
 * settings, and whoever is not asked sleeps.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { AbortError } from "../errors.ts";
import type { Engine, EngineAbout, EngineSpec, Sample } from "./engine.ts";
import type { Scheduling } from "./scheduling.ts";
import type { Workload } from "./workload.ts";

/** What the parent asks; the child answers one after the other. */
export type EngineRequest =
  | { readonly do: "open"; readonly spec: EngineSpec }
  | { readonly do: "measure"; readonly workload: Workload; readonly variant: number; readonly round: number };

export type EngineAnswer =
  | { readonly about: EngineAbout }
  | { readonly sample: Sample; readonly usage: Usage }
  | { readonly error: { readonly message: string; readonly code?: string } };

/** What an engine's process took of the machine. */
export interface Usage {
  /** CPU between the answer before and this request, and how long that was: seconds. */
  readonly idleCpu: number;
  readonly idle: number;
  /** Memory that it holds after the run, mapped files with it: bytes. */
  readonly memoryBytes: number;
}

export interface EngineProcessOptions {
  readonly scheduling: Scheduling;
  readonly signal?: AbortSignal | undefined;
  /** The program that answers requests: src/cli/engine-program.ts, built. */
  readonly script: string;
}

/** Characters of the child's stderr that go into an error. */
const mostErrorText = 2000;

export class EngineProcess implements Engine {
  /** Of the time between two answers, the share of one core that the engine used all the same. */
  get idleShare(): number {
    return this.#usage.idle > 0 ? this.#usage.idleCpu / this.#usage.idle : 0;
  }

  /** Most memory that it held after a run, mapped files with it: bytes. */
  get memoryBytes(): number {
    return this.#usage.memoryBytes;
  }

  #usage: Usage = { idleCpu: 0, idle: 0, memoryBytes: 0 };

  private constructor(
    readonly about: EngineAbout,
    private readonly child: Child,
  ) {}

  /**
   * Starts a process and loads the model in it.
   *
   * @throws Error with the child's `code` and message, AbortError when `signal` fires.
   */
  static async start(
    spec: EngineSpec,
    { scheduling, signal, script }: EngineProcessOptions,
  ): Promise<EngineProcess> {
    const child = new Child(scheduling, script, signal);
    try {
      const answer = await child.ask({ do: "open", spec });
      if (!("about" in answer)) throw new Error("The engine's process gave no answer about itself.");
      return new EngineProcess(answer.about, child);
    } catch (error) {
      child.kill();
      throw error;
    }
  }

  /** Throws as `start`. */
  async measure(workload: Workload, variant: number, round: number): Promise<Sample> {
    const answer = await this.child.ask({ do: "measure", workload, variant, round });
    if (!("sample" in answer)) throw new Error("The engine's process gave no measurement.");
    const { idleCpu, idle, memoryBytes } = answer.usage;
    this.#usage = {
      idleCpu: this.#usage.idleCpu + idleCpu,
      idle: this.#usage.idle + idle,
      memoryBytes: Math.max(this.#usage.memoryBytes, memoryBytes),
    };
    return answer.sample;
  }

  /** Ends the process: what it holds goes with it. */
  async close(): Promise<void> {
    this.child.kill();
    await this.child.ended;
  }
}

/** The process and its one open question. */
class Child {
  readonly ended: Promise<void>;
  readonly #child: ChildProcess;
  #errorText = "";

  constructor(
    { prefix }: Scheduling,
    script: string,
    private readonly signal: AbortSignal | undefined,
  ) {
    const [command = process.execPath, ...words] = [...prefix, process.execPath, script];
    this.#child = spawn(command, words, { stdio: ["ignore", "ignore", "pipe", "ipc"] });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#errorText = (this.#errorText + text).slice(-mostErrorText);
    });
    this.ended = new Promise((resolve) => {
      this.#child.once("exit", () => resolve());
      this.#child.once("error", () => resolve());
    });
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  /** @throws AbortError, or what the child says went wrong */
  async ask(request: EngineRequest): Promise<EngineAnswer> {
    if (this.signal?.aborted) throw new AbortError(undefined, { cause: this.signal.reason });
    const answer = await this.#answerTo(request);
    if ("error" in answer) {
      const { message, code } = answer.error;
      throw Object.assign(new Error(message), code !== undefined && { code });
    }
    return answer;
  }

  #answerTo(request: EngineRequest): Promise<EngineAnswer> {
    const { signal } = this;
    return new Promise((resolve, reject) => {
      const done = () => {
        this.#child.off("message", onMessage).off("exit", onExit).off("error", onError);
        signal?.removeEventListener("abort", onAbort);
      };
      const onMessage = (message: unknown) => {
        done();
        resolve(message as EngineAnswer);
      };
      const onExit = (code: number | null, killed: string | null) => {
        done();
        reject(new Error(`The engine's process ${endOf(code, killed)}. ${this.#errorText.trim()}`.trim()));
      };
      const onError = (error: Error) => {
        done();
        reject(error);
      };
      const onAbort = () => {
        done();
        this.kill();
        reject(new AbortError(undefined, { cause: signal?.reason }));
      };
      this.#child.on("message", onMessage).on("exit", onExit).on("error", onError);
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#child.send(request);
    });
  }
}

function endOf(code: number | null, signal: string | null): string {
  if (signal === null) return `ended with code ${code}`;
  return `was ended by ${signal}${signal === "SIGKILL" ? ", as the system does where memory runs out" : ""}`;
}
