/** Routes HTTP requests of MCP: those of 2026-07-28 stand alone, older ones belong to sessions. */
import { randomUUID } from "node:crypto";
import {
  createMcpHandler,
  type EventStore,
  isLegacyRequest,
  type McpHttpHandler,
  type McpServer,
  WebStandardStreamableHTTPServerTransport,
} from "@modelcontextprotocol/server";

interface McpSession {
  readonly transport: WebStandardStreamableHTTPServerTransport;
  lastUsed: number;
}

/** More than these and the one longest unused is closed. */
const maxSessions = 64;
/** Milliseconds until a client whose stream was cut asks again. */
const retryMs = 500;
const keptEvents = 256;

export class McpSessions {
  readonly #sessions = new Map<string, McpSession>();
  readonly #modern: McpHttpHandler;

  constructor(private readonly newServer: () => McpServer) {
    this.#modern = createMcpHandler(() => newServer(), { legacy: "reject" });
  }

  fetch = async (request: Request): Promise<Response> => {
    if (!(await isLegacyRequest(request))) return this.#modern.fetch(request);
    const id = request.headers.get("mcp-session-id");
    const known = id === null ? undefined : this.#sessions.get(id);
    if (known) {
      known.lastUsed = performance.now();
      return known.transport.handleRequest(request);
    }
    return id === null ? this.#begin(request) : gone();
  };

  async close(): Promise<void> {
    await Promise.all([...this.#sessions.values()].map(({ transport }) => transport.close()));
    this.#sessions.clear();
    await this.#modern.close();
  }

  async #begin(request: Request): Promise<Response> {
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      eventStore: new RecentEvents(),
      retryInterval: retryMs,
      onsessioninitialized: (id) => {
        this.#sessions.set(id, { transport, lastUsed: performance.now() });
        this.#dropOldest();
      },
      onsessionclosed: (id) => {
        this.#sessions.delete(id);
      },
    });
    const server = this.newServer();
    await server.connect(transport);
    const response = await transport.handleRequest(request);
    if (transport.sessionId === undefined) await server.close(); // it was no initialize
    return response;
  }

  #dropOldest(): void {
    if (this.#sessions.size <= maxSessions) return;
    const [oldest] = [...this.#sessions].sort(([, a], [, b]) => a.lastUsed - b.lastUsed);
    if (!oldest) return;
    this.#sessions.delete(oldest[0]);
    void oldest[1].transport.close();
  }
}

/** A session that there is not: the client begins another. */
function gone(): Response {
  const error = { code: -32_001, message: "Session not found" };
  return Response.json({ jsonrpc: "2.0", id: null, error }, { status: 404 });
}

type Stored = Parameters<EventStore["storeEvent"]>[1];

/** The latest messages of a session's streams, for a client that comes back after its connection was cut. */
class RecentEvents implements EventStore {
  readonly #events: { readonly id: string; readonly stream: string; readonly message: Stored }[] = [];
  #count = 0;

  async storeEvent(stream: string, message: Stored): Promise<string> {
    const id = `${stream}_${this.#count++}`;
    this.#events.push({ id, stream, message });
    if (this.#events.length > keptEvents) this.#events.shift();
    return id;
  }

  async getStreamIdForEventId(id: string): Promise<string | undefined> {
    return this.#events.find((event) => event.id === id)?.stream;
  }

  async replayEventsAfter(
    last: string,
    { send }: { send: (id: string, message: Stored) => Promise<void> },
  ): Promise<string> {
    const at = this.#events.findIndex(({ id }) => id === last);
    const stream = this.#events[at]?.stream ?? "";
    for (const event of this.#events.slice(at + 1)) {
      if (event.stream === stream && at >= 0) await send(event.id, event.message);
    }
    return stream;
  }
}
