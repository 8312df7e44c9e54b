/** One MCP server: connected to, and again where it goes away. */
import { Client, type Tool as McpTool } from "@modelcontextprotocol/client";
import { McpServerError } from "../errors.ts";
import type { McpCallbacks, McpStatus } from "./connect-mcp.ts";
import { type McpServerConfig, masked, secretsOf } from "./mcp-config.ts";
import { implementation } from "./mcp-implementation.ts";
import { isOlder, type OpenTransport, openTransport } from "./mcp-transport.ts";
import { within } from "./within.ts";

export interface LinkOptions extends McpCallbacks {
  /** Milliseconds until a server has to be there. */
  readonly startTimeoutMs: number;
  /** Milliseconds before the first restart; each further one in a row waits twice as long. */
  readonly backoffMs: number;
  readonly onStatus: (status: McpStatus) => void;
  readonly onTools: () => void;
}

const maxRestarts = 5;
const maxBackoffMs = 30_000;

export class McpServerLink {
  tools: readonly McpTool[] = [];
  readonly #secrets: readonly string[];
  #client: Client | undefined;
  #open: OpenTransport | undefined;
  #state: McpStatus["state"] = "starting";
  #problem: string | undefined;
  #restarts = 0;
  /** Starts that failed, or ended at once, in a row. */
  #failures = 0;
  /** When it was there last, in milliseconds of performance.now(); 0: never. */
  #readySince = 0;
  #starting: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    readonly name: string,
    private readonly config: McpServerConfig,
    private readonly options: LinkOptions,
  ) {
    this.#secrets = secretsOf(config);
  }

  get status(): McpStatus {
    const implementation = this.#client?.getServerVersion();
    return {
      server: this.name,
      state: this.#state,
      tools: this.tools.length,
      ...(this.#problem !== undefined && { problem: this.#problem }),
      ...(implementation && { implementation: `${implementation.name} ${implementation.version}` }),
      protocol: this.#client?.getNegotiatedProtocolVersion(),
      restarts: this.#restarts,
    };
  }

  /** Connects. Does not throw: `status` says what came of it. */
  start(): Promise<void> {
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  /**
   * Runs `use` with a client that is connected, started again first where the server has gone. Where the server wants to
   * be authorized in between, it is run once more.
   *
   * @throws McpServerError
   */
  async use<Value>(use: (client: Client, timeout: number) => Promise<Value>): Promise<Value> {
    if (this.#state === "closed") throw new McpServerError(this.name, "it is closed");
    if (this.#state !== "ready") {
      clearTimeout(this.#timer);
      await this.start();
    }
    const client = this.#client;
    if (!client) throw new McpServerError(this.name, this.#problem ?? "it is not there");
    const { timeoutMs = 60_000 } = this.config;
    try {
      return await use(client, timeoutMs);
    } catch (error) {
      if (await this.#open?.authorize(error)) return use(client, timeoutMs);
      throw new McpServerError(this.name, this.#clause(error), { cause: error });
    }
  }

  async close(): Promise<void> {
    this.#setState("closed");
    clearTimeout(this.#timer);
    await this.#client?.close().catch(() => {});
    this.#client = undefined;
  }

  /** An error as a clause for people: no secrets, one line. */
  #clause(error: unknown): string {
    const reason = error instanceof Error ? error.message : String(error);
    const text = masked(reason, this.#secrets).replace(/\s+/g, " ").trim();
    return text.slice(0, 500).replace(/\.$/, "");
  }

  async #start(): Promise<void> {
    this.#setState(this.#restarts === 0 && this.#failures === 0 ? "starting" : "waiting");
    try {
      await this.#connect(false);
    } catch (error) {
      const failure = isOlder(error, this.config) ? await this.#connect(true).catch((later) => later) : error;
      if (failure !== undefined) this.#failed(failure);
    }
  }

  async #connect(sse: boolean): Promise<void> {
    const { startTimeoutMs: timeout, authorize } = this.options;
    const authorization = "url" in this.config ? authorize?.(this.name, this.config.url) : undefined;
    const older = sse || ("type" in this.config && this.config.type === "sse");
    let open = openTransport(this.config, { sse: older, authorization });
    let client = this.#newClient();
    try {
      try {
        await within(timeout, client.connect(open.transport, { timeout }));
      } catch (error) {
        if (!(await open.authorize(error))) throw error;
        await client.close().catch(() => {});
        open = openTransport(this.config, { sse: older, authorization });
        client = this.#newClient();
        await within(timeout, client.connect(open.transport, { timeout }));
      }
      this.#open = open;
      this.tools = await within(timeout, this.#listTools(client));
    } catch (error) {
      await client.close().catch(() => {});
      const said = open.lastWords();
      if (said === "") throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`${reason}; it said: ${said.slice(-300)}`, { cause: error });
    }
    if (this.#state === "closed") return client.close();
    this.#client = client;
    client.onclose = () => this.#gone(client, open.lastWords());
    this.#problem = undefined;
    this.#readySince = performance.now();
    this.#setState("ready");
    this.options.onTools();
  }

  #newClient(): Client {
    const { onElicit, onSample, roots } = this.options;
    const client = new Client(implementation, {
      versionNegotiation: { mode: "auto" },
      capabilities: {
        ...(onElicit && { elicitation: { form: { applyDefaults: true }, url: {} } }),
        ...(onSample && { sampling: {} }),
        ...(roots && { roots: {} }),
      },
      listChanged: {
        tools: {
          onChanged: (_, tools) => {
            if (tools) this.tools = this.#wanted(tools);
            this.options.onTools();
          },
        },
      },
    });
    if (onElicit) client.setRequestHandler("elicitation/create", ({ params }) => onElicit(this.name, params));
    if (onSample)
      client.setRequestHandler("sampling/createMessage", ({ params }) => onSample(this.name, params));
    if (roots) client.setRequestHandler("roots/list", () => ({ roots: roots.map((uri) => ({ uri })) }));
    return client;
  }

  async #listTools(client: Client): Promise<readonly McpTool[]> {
    if (!client.getServerCapabilities()?.tools) return [];
    return this.#wanted((await client.listTools()).tools);
  }

  #wanted(tools: readonly McpTool[]): readonly McpTool[] {
    const wanted = this.config.tools;
    return wanted ? tools.filter(({ name }) => wanted.includes(name)) : tools;
  }

  /** The connection has ended. */
  #gone(client: Client, said: string): void {
    if (client !== this.#client || this.#state === "closed") return;
    this.#client = undefined;
    if (performance.now() - this.#readySince > maxBackoffMs) this.#failures = 0;
    this.#failed(new Error(said === "" ? "it has ended" : `it has ended; it said: ${said.slice(-300)}`));
  }

  #failed(error: unknown): void {
    if (this.#state === "closed") return;
    this.#problem = this.#clause(error);
    this.#failures++;
    const wasThere = this.#readySince > 0;
    if (!wasThere || this.#failures > maxRestarts) {
      this.#setState("failed");
      return;
    }
    this.#setState("waiting");
    const delay = Math.min(maxBackoffMs, this.options.backoffMs * 2 ** (this.#failures - 1));
    this.#timer = setTimeout(() => {
      this.#restarts++;
      void this.start();
    }, delay);
    this.#timer.unref();
  }

  #setState(state: McpStatus["state"]): void {
    if (this.#state === "closed" || (state === this.#state && state !== "waiting")) return;
    this.#state = state;
    this.options.onStatus(this.status);
  }
}
