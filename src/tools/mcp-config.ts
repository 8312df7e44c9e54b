/** The list of MCP servers, in the file that other hosts use too: `{"mcpServers": {NAME: {...}}}`. */
import { readFile } from "node:fs/promises";
import { McpConfigError } from "../errors.ts";
import { isObject } from "./json-object.ts";

interface McpServerBase {
  /** Left out. */
  readonly disabled?: boolean | undefined;
  /** Milliseconds that one request may take. Default 60,000. */
  readonly timeoutMs?: number | undefined;
  /** Names of its tools that are offered. Default: all. */
  readonly tools?: readonly string[] | undefined;
}

/** A program that is started and talked to over its stdin and stdout. */
export interface McpStdioConfig extends McpServerBase {
  readonly command: string;
  readonly args?: readonly string[] | undefined;
  /** Beside PATH, HOME and the like; nothing else of this process's environment is handed on. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
}

/** A server on the network. */
export interface McpHttpConfig extends McpServerBase {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Default: Streamable HTTP, and SSE where the server does not know that. */
  readonly type?: "http" | "sse" | undefined;
}

export type McpServerConfig = McpStdioConfig | McpHttpConfig;

export interface McpConfig {
  readonly mcpServers: Readonly<Record<string, McpServerConfig>>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws McpConfigError */
export async function readMcpConfig(file: string, env: Environment = process.env): Promise<McpConfig> {
  let json: unknown;
  try {
    json = JSON.parse(await readFile(file, "utf8"));
  } catch (cause) {
    throw new McpConfigError(file, cause instanceof Error ? cause.message : String(cause), { cause });
  }
  return parseMcpConfig(json, file, env);
}

/**
 * With `${NAME}`, `${env:NAME}` and `${NAME:-what else}` replaced from the environment, in all of its texts.
 *
 * @param file named in errors
 * @throws McpConfigError
 */
export function parseMcpConfig(json: unknown, file: string, env: Environment = process.env): McpConfig {
  const fail = (reason: string): never => {
    throw new McpConfigError(file, reason);
  };
  const servers = isObject(json) ? (json.mcpServers ?? json.servers) : undefined;
  if (!isObject(servers)) return fail('there is no "mcpServers"');
  const entries = Object.entries(servers).map(([name, given]) => {
    if (!isObject(given)) return fail(`${name} is no object`);
    const server = expanded(given, env, (variable) => fail(`${name} wants ${variable}, which is not set`));
    const check = (right: boolean, field: string) =>
      right || fail(`${name}.${field} is not what it should be`);
    const { command, args = [], env: own = {}, cwd, url, headers = {}, type, timeoutMs, tools } = server;
    if (command === undefined && url === undefined) fail(`${name} has neither "command" nor "url"`);
    if (command !== undefined && url !== undefined) fail(`${name} has both "command" and "url"`);
    check(command === undefined || (typeof command === "string" && command !== ""), "command");
    check(Array.isArray(args) && args.every(isText), "args");
    check(isObject(own) && Object.values(own).every(isText), "env");
    check(cwd === undefined || isText(cwd), "cwd");
    check(url === undefined || (isText(url) && /^https?:$/.test(protocolOf(url))), "url");
    check(isObject(headers) && Object.values(headers).every(isText), "headers");
    check(timeoutMs === undefined || (Number.isSafeInteger(timeoutMs) && Number(timeoutMs) > 0), "timeoutMs");
    check(tools === undefined || (Array.isArray(tools) && tools.every(isText)), "tools");
    const kinds: readonly unknown[] = [
      undefined,
      "stdio",
      "http",
      "sse",
      "streamable-http",
      "streamableHttp",
    ];
    check(kinds.includes(type), "type");
    const transport = type === "sse" ? "sse" : type === undefined || type === "stdio" ? undefined : "http";
    const { type: _, ...rest } = server;
    return [name, { ...rest, ...(url !== undefined && transport && { type: transport }) }];
  });
  return { mcpServers: Object.fromEntries(entries) as Record<string, McpServerConfig> };
}

/** Values in a server's entry that no log may show: those of its environment and headers, and a password in its URL. */
export function secretsOf(config: McpServerConfig): readonly string[] {
  if (!("url" in config)) return Object.values(config.env ?? {});
  const { username, password, searchParams } = new URL(config.url);
  const headers = Object.values(config.headers ?? {}).flatMap((value) => [
    value,
    ...value.split(/\s+/).slice(1),
  ]);
  return [...headers, username, password, ...searchParams.values()].filter((value) => value !== "");
}

/** The text with every secret of some length replaced by `***`. */
export function masked(text: string, secrets: readonly string[]): string {
  const long = secrets.filter((secret) => secret.length >= 4).sort((a, b) => b.length - a.length);
  return long.reduce((shown, secret) => shown.replaceAll(secret, "***"), text);
}

function expanded(
  value: Readonly<Record<string, unknown>>,
  env: Environment,
  missing: (variable: string) => never,
): Readonly<Record<string, unknown>> {
  const expand = (part: unknown): unknown => {
    if (Array.isArray(part)) return part.map(expand);
    if (isObject(part))
      return Object.fromEntries(Object.entries(part).map(([key, field]) => [key, expand(field)]));
    if (typeof part !== "string") return part;
    return part.replace(/\$\{(?:env:)?(\w+)(?::-([^}]*))?\}/g, (_, variable: string, otherwise?: string) => {
      return env[variable] ?? otherwise ?? missing(variable);
    });
  };
  return expand(value) as Readonly<Record<string, unknown>>;
}

function protocolOf(url: string): string {
  return URL.canParse(url) ? new URL(url).protocol : "";
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}
