/**
 * OAuth for MCP servers on the network: whoever sits at the terminal opens the page that is printed, and it redirects to a
 * port of this machine's.
 */
import { randomBytes } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { McpAuthorization, McpConfig } from "../index.ts";
import { isObject } from "../tools/json-object.ts";
import { keepJson, keptJson } from "../tools/kept-file.ts";
import { implementation } from "../tools/mcp-implementation.ts";
import { within } from "../tools/within.ts";
import type { Terminal } from "./terminal.ts";

export interface SignInOptions {
  /** Where clients and tokens are kept, for their owner only; absent: nowhere. */
  readonly file: string | undefined;
  readonly terminal: Terminal;
  /** Somebody is there to open a page. */
  readonly interactive: boolean;
  /** Milliseconds that signing in may take. Default 300,000. */
  readonly timeoutMs?: number;
}

type Provider = McpAuthorization["provider"];

/** What is known of a server, by its URL. */
interface Known {
  client?: Awaited<ReturnType<Provider["clientInformation"]>>;
  tokens?: Awaited<ReturnType<Provider["tokens"]>>;
}

interface Kept {
  /** Clients were registered with this port. */
  port?: number;
  readonly servers: Record<string, Known>;
}

const path = "/callback";

export class SignIns implements AsyncDisposable {
  readonly #options: SignInOptions;
  readonly #listener: Server;
  readonly #kept: Kept;
  /** State parameter -> who waits for it. */
  readonly #waiting = new Map<string, (redirected: URLSearchParams) => void>();

  /** For servers of which one is on the network; else undefined. */
  static async forServers(
    servers: McpConfig["mcpServers"],
    options: SignInOptions,
  ): Promise<SignIns | undefined> {
    return Object.values(servers).some((server) => "url" in server) ? SignIns.open(options) : undefined;
  }

  private constructor(options: SignInOptions, kept: Kept) {
    this.#options = options;
    this.#kept = kept;
    this.#listener = createServer((request, response) => {
      const url = new URL(request.url ?? "/", "http://127.0.0.1");
      const waiting = this.#waiting.get(url.searchParams.get("state") ?? "");
      const known = url.pathname === path && waiting !== undefined;
      const text = known ? "Go back to the terminal: this page may be closed.\n" : "Nobody waits for this.\n";
      response.writeHead(known ? 200 : 404, { "content-type": "text/plain", connection: "close" }).end(text);
      if (known) waiting(url.searchParams);
    });
  }

  /** Listens on this machine alone, on the port of the last time where it is free. */
  static async open(options: SignInOptions): Promise<SignIns> {
    const signIns = new SignIns(options, readKept(options.file));
    const { port = 0 } = signIns.#kept;
    await signIns.#listen(port).catch(() => signIns.#listen(0));
    signIns.#listener.unref();
    return signIns;
  }

  readonly authorize = (server: string, url: string): McpAuthorization => {
    const { terminal, interactive, timeoutMs = 300_000 } = this.#options;
    const redirectUrl = `http://127.0.0.1:${this.#port}${path}`;
    this.#kept.servers[url] ??= {};
    const known = this.#kept.servers[url];
    let verifier = "";
    let state = "";
    let redirected = Promise.resolve(new URLSearchParams());
    const provider: Provider = {
      redirectUrl,
      clientMetadata: {
        client_name: implementation.name,
        redirect_uris: [redirectUrl],
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
        application_type: "native",
        token_endpoint_auth_method: "none",
      },
      state: () => {
        state = randomBytes(16).toString("hex");
        return state;
      },
      // One that was registered with another port cannot be redirected to this one.
      clientInformation: () => {
        const uris = (known.client as { redirect_uris?: readonly unknown[] } | undefined)?.redirect_uris;
        return uris && !uris.includes(redirectUrl) ? undefined : known.client;
      },
      saveClientInformation: (client) => this.#keep(known, { client }),
      tokens: () => known.tokens,
      saveTokens: (tokens) => this.#keep(known, { tokens }),
      invalidateCredentials: (scope) => {
        if (scope === "all" || scope === "tokens") this.#keep(known, { tokens: undefined });
        if (scope === "all" || scope === "client") this.#keep(known, { client: undefined });
      },
      saveCodeVerifier: (given) => {
        verifier = given;
      },
      codeVerifier: () => verifier,
      redirectToAuthorization: (page) => {
        if (!/^https?:$/.test(page.protocol)) throw new Error(`it wants you to sign in at ${page.protocol}`);
        if (!interactive) {
          throw new Error(
            "it wants you to sign in, and nobody is there: `minicpm mcp list --mcp FILE` on a terminal",
          );
        }
        redirected = this.#redirected(state, timeoutMs);
        redirected.catch(() => {}); // told to who asks for it
        terminal.say(`MCP server ${server} wants you to sign in. Open this page: ${page.href}`);
      },
    };
    return { provider, redirected: () => redirected };
  };

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.closeAllConnections();
    await new Promise((resolve) => this.#listener.close(resolve));
  }

  async #redirected(state: string, timeoutMs: number): Promise<URLSearchParams> {
    this.#listener.ref();
    try {
      const redirected = await within(
        timeoutMs,
        new Promise<URLSearchParams>((resolve) => this.#waiting.set(state, resolve)),
      );
      const refused = redirected.get("error");
      if (refused !== null) throw new Error(`signing in was refused: ${refused}`);
      return redirected;
    } finally {
      this.#waiting.delete(state);
      this.#listener.unref();
    }
  }

  get #port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  #listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#listener.once("error", reject).listen(port, "127.0.0.1", resolve);
    });
  }

  /** What cannot be kept holds for this process. */
  #keep(known: Known, change: Known): void {
    Object.assign(known, change);
    this.#kept.port = this.#port;
    const { file, terminal } = this.#options;
    try {
      if (file !== undefined) keepJson(file, this.#kept);
    } catch (error) {
      terminal.warn(`The sign-in is not kept: ${error instanceof Error ? error.message : error}`);
    }
  }
}

function readKept(file: string | undefined): Kept {
  const { port, servers } = Object(file === undefined ? {} : keptJson(file)) as Partial<Kept>;
  return {
    ...(Number.isInteger(port) && { port }),
    servers: isObject(servers) ? { ...servers } : {},
  } as Kept;
}
