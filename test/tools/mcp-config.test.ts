// biome-ignore-all lint/suspicious/noTemplateCurlyInString: what stands in the files has this form
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { masked, parseMcpConfig, readMcpConfig, secretsOf } from "../../src/tools/mcp-config.ts";
import { scratchFolder } from "../scratch-folder.ts";

const folder = scratchFolder();
const parse = (server: object, env = {}) =>
  parseMcpConfig({ mcpServers: { box: server } }, "mcp.json", env).mcpServers.box;

test("the environment is put in wherever a text asks for it", () => {
  const server = { command: "${BIN:-node}", args: ["${env:DIR}/x", "$NOT"], env: { KEY: "${KEY}" } };
  expect(parse(server, { DIR: "/data", KEY: "k" })).toEqual({
    command: "node",
    args: ["/data/x", "$NOT"],
    env: { KEY: "k" },
  });
});

test("what other hosts write for Streamable HTTP is understood", () => {
  expect(parse({ type: "streamable-http", url: "http://localhost:1/mcp" })).toMatchObject({ type: "http" });
  expect(parse({ type: "sse", url: "http://localhost:1/mcp" })).toMatchObject({ type: "sse" });
  expect(parse({ url: "http://localhost:1/mcp" })).not.toHaveProperty("type");
  expect(parse({ type: "stdio", command: "node" })).toEqual({ command: "node" });
});

test.each([
  [{}, /neither "command" nor "url"/],
  [{ command: "a", url: "http://b" }, /both/],
  [{ command: "a", args: "b" }, /box\.args/],
  [{ command: "a", env: { A: 1 } }, /box\.env/],
  [{ url: "file:///etc/passwd" }, /box\.url/],
  [{ command: "${NOWHERE}" }, /box wants NOWHERE, which is not set/],
])("%j is refused", (server, message) => {
  expect(() => parse(server)).toThrow(
    expect.objectContaining({ code: "MCP_CONFIG", message: expect.stringMatching(message) }),
  );
});

test("a file that is not there, is no JSON, or has no servers is named", async () => {
  const file = join(folder, "mcp.json");
  await expect(readMcpConfig(file)).rejects.toMatchObject({ code: "MCP_CONFIG", file });
  writeFileSync(file, "{");
  await expect(readMcpConfig(file)).rejects.toThrow(/JSON/);
  writeFileSync(file, "{}");
  await expect(readMcpConfig(file)).rejects.toThrow(/there is no "mcpServers"/);
});

test("values of environments, headers and URLs are secret", () => {
  const http = parse({
    url: "https://u:pass@host/mcp?key=abcdef",
    headers: { Authorization: "Bearer t0ken" },
  });
  expect(secretsOf(http as never)).toEqual(["Bearer t0ken", "t0ken", "u", "pass", "abcdef"]);
  expect(masked("401 for t0ken at https://u:pass@host", secretsOf(http as never))).toBe(
    "401 for *** at https://u:***@host",
  );
});
