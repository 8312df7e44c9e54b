// An MCP server for tests, over stdio. Its tools do what servers do on good and on bad days.
// Usage: node fixture-server.mjs [dead|mute|dies-once FILE]
import { existsSync, writeFileSync } from "node:fs";
import { inputRequired, McpServer } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { z } from "zod";

const [mode] = process.argv.slice(2);
if (mode === "dead") {
  console.error(`cannot open the database with ${process.env.FIXTURE_KEY ?? "no key"}`);
  process.exit(1);
}
if (mode === "mute") setInterval(() => {}, 1000);
else serveStdio(newServer);

const text = (value) => ({ content: [{ type: "text", text: String(value) }] });

function newServer() {
  let release = () => {};
  const server = new McpServer(
    { name: "fixture", version: "1.0.0" },
    { capabilities: { tools: { listChanged: true }, prompts: {}, resources: {}, logging: {} } },
  );
  const tool = (name, inputSchema, run, more = {}) =>
    server.registerTool(
      name,
      { description: `Does ${name}.`, inputSchema: z.object(inputSchema), ...more },
      run,
    );
  tool("echo", { text: z.string() }, ({ text: said }) => text(said), { annotations: { readOnlyHint: true } });
  tool(
    "add",
    { a: z.number(), b: z.number() },
    ({ a, b }) => ({ ...text(a + b), structuredContent: { sum: a + b } }),
    {
      outputSchema: z.object({ sum: z.number() }),
      annotations: { readOnlyHint: true },
    },
  );
  tool("env", { name: z.string() }, ({ name }) => text(process.env[name] ?? "not set"));
  tool("fail", {}, () => ({ ...text("no such file"), isError: true }));
  tool("image", {}, () => ({ content: [{ type: "image", data: "AAAA", mimeType: "image/png" }] }));
  tool("hang", {}, () => new Promise(() => {}), { annotations: { readOnlyHint: true } });
  tool("exit", {}, () => process.exit(3));
  tool("flood", {}, () => {
    for (let line = 0; line < 5000; line++) {
      process.stdout.write(
        `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":${line}}}\n`,
      );
      process.stderr.write("noise ".repeat(50));
    }
    return text("flooded");
  });
  tool("steps", { count: z.number() }, async ({ count }, context) => {
    const { progressToken } = context.mcpReq._meta ?? {};
    for (let progress = 1; progressToken !== undefined && progress <= count; progress++) {
      await context.mcpReq.notify({
        method: "notifications/progress",
        params: { progressToken, progress, total: count, message: `step ${progress}` },
      });
    }
    await new Promise((resolve) => {
      release = resolve;
    });
    return text("done");
  });
  tool("release", {}, () => {
    release();
    return text("released");
  });
  // Asks the user, as the protocol's version of the client has it.
  tool("ask", {}, async (_, { mcpReq }) => {
    const request = {
      message: "Who are you?",
      requestedSchema: {
        type: "object",
        properties: {
          name: { type: "string", description: "as others call you" },
          age: { type: "integer", minimum: 0 },
          colour: { type: "string", enum: ["red", "blue"] },
          news: { type: "boolean", default: false },
        },
        required: ["name", "colour"],
      },
    };
    const answer = mcpReq.inputResponses?.person;
    if (answer) return text(JSON.stringify(answer));
    return inputRequired({ inputRequests: { person: inputRequired.elicit(request) } });
  });
  tool("grow", {}, () => {
    tool("grown", {}, () => text("I am new"));
    return text("grown");
  });
  server.registerPrompt(
    "greet",
    { description: "Greets.", argsSchema: z.object({ name: z.string() }) },
    ({ name }) => ({
      messages: [{ role: "user", content: { type: "text", text: `Greet ${name}.` } }],
    }),
  );
  server.registerResource("note", "note://one", { mimeType: "text/plain" }, (uri) => ({
    contents: [{ uri: uri.href, text: "remember" }],
  }));
  return server;
}

if (mode === "dies-once") {
  const [, file] = process.argv.slice(2);
  if (!existsSync(file)) {
    writeFileSync(file, "");
    setTimeout(() => process.exit(4), 600);
  }
}
