// Our MCP server as the conformance suite meets it, on a free port; its address is the first line of stdout.
// Usage: node server.mjs [--fixtures]       with the tools, prompts and resources that the suite asks for
import { ResourceTemplate } from "@modelcontextprotocol/server";
import { serveMcpHttp } from "../../dist/tools/mcp-serve.js";
import { addFixtureTools } from "./fixture-tools.mjs";
import { state } from "./input-tools.mjs";

const focal = {
  name: "json_schema_2020_12_tool",
  description: "Tool with JSON Schema 2020-12 features for conformance testing (SEP-1613, SEP-2106)",
  parameters: {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    type: "object",
    $defs: {
      address: {
        $anchor: "addressDef",
        type: "object",
        properties: { street: { type: "string" }, city: { type: "string" } },
      },
    },
    properties: {
      name: { type: "string" },
      address: { $ref: "#/$defs/address" },
      contactMethod: { type: "string", enum: ["phone", "email"] },
      phone: { type: "string" },
      email: { type: "string" },
    },
    allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
    if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
    // biome-ignore lint/suspicious/noThenProperty: JSON Schema calls it so
    then: { required: ["phone"] },
    else: { required: ["email"] },
    additionalProperties: false,
  },
  call: async () => ({ content: [{ type: "text", text: "ok" }] }),
};
const echo = {
  name: "echo",
  description: "Says it again.",
  parameters: { type: "object", properties: { text: { type: "string" } } },
  call: async ({ text }) => ({ content: [{ type: "text", text: String(text) }] }),
};

const fixtures = {
  tools: [focal],
  configure: (server) => {
    addFixtureTools(server);
    const uri = new ResourceTemplate("test://template/{id}/data", { list: undefined });
    const about = { description: "For the suite: a template.", mimeType: "application/json" };
    server.registerResource("template", uri, about, ({ href }, { id }) => ({
      contents: [
        {
          uri: href,
          mimeType: "application/json",
          text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }),
        },
      ],
    }));
  },
  serverOptions: {
    capabilities: { prompts: {}, resources: { subscribe: true }, logging: {}, completions: {} },
    requestState: { verify: state.verify },
  },
};
const options = process.argv.includes("--fixtures") ? fixtures : { tools: [echo] };
const { url } = await serveMcpHttp({ port: 0, ...options });
console.log(url);
