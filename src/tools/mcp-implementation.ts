/** Who we say we are to MCP servers and clients. */
import { readFileSync } from "node:fs";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

export const implementation = { name: "minicpm", version };
