/** MCP servers from npm, for the tests that really run them. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { McpStdioConfig } from "../../src/index.ts";
import { root } from "../needs.ts";

const packages = join(root, "test/peers/node_modules/@modelcontextprotocol");

/** What tests of them need, and how to get it. */
export const peers = join(packages, "server-everything");
export const how = "npm install --prefix test/peers --ignore-scripts";
export const havePeers = existsSync(peers);

/** `everything`, `filesystem`, `memory` or `sequential-thinking`. */
export function peerServer(name: string, ...args: string[]): McpStdioConfig {
  return { command: process.execPath, args: [join(packages, `server-${name}/dist/index.js`), ...args] };
}
