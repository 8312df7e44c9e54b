// The client that the MCP conformance suite runs, once a scenario: `node client.mjs SERVER_URL`. It does what a host does:
// connects by connectMcp(), lists what there is, calls tools, and answers what servers ask.
import { connectMcp } from "../../dist/index.js";
import { TestAuthorization } from "./authorization.mjs";

const url = process.argv.at(-1);
const scenario = process.env.MCP_CONFORMANCE_SCENARIO ?? "";
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? "{}");

const authorization = new TestAuthorization(context);
const host = await connectMcp(
  { mcpServers: { suite: { url, timeoutMs: 100_000 } } },
  {
    startTimeoutMs: 100_000,
    authorize: () => (scenario.startsWith("auth/") ? authorization : undefined),
    onElicit: async () => ({ action: "accept", content: {} }),
    onSample: async () => ({
      role: "assistant",
      content: { type: "text", text: "Hello." },
      model: "scripted",
      stopReason: "endTurn",
    }),
    roots: ["file:///tmp"],
  },
);
const [status] = host.status();
if (status.state !== "ready") {
  console.error(status.problem);
  process.exit(1);
}
const wanted = context.toolCalls ?? host.tools().map(({ name }) => ({ name, arguments: undefined }));
for (const { name, arguments: given } of wanted) {
  const tool = host.tools().find((each) => each.name === name);
  if (!tool) continue;
  const [focal] = host.tools();
  // A tool that wants a schema wants the first tool's, to see what of it has come.
  const echoed = tool.parameters.properties?.schema && { schema: focal.parameters };
  try {
    const result = await tool.call(given ?? echoed ?? sample(tool.parameters), {
      signal: AbortSignal.timeout(100_000),
      onProgress: () => {},
    });
    console.log(name, JSON.stringify(result));
  } catch (error) {
    console.error(name, error);
  }
}
for (const list of [() => host.prompts("suite"), () => host.resources("suite")])
  await list().catch(console.error);
await host.close();
process.exit(0);

/** Arguments that a schema allows: 5 and 3 where the suite's calculator wants numbers. */
function sample({ properties = {} } = {}) {
  const values = { number: 5, integer: 3, boolean: true, array: [], object: {} };
  return Object.fromEntries(
    Object.entries(properties).map(([name, { type, enum: choices }]) => [
      name,
      choices?.[0] ?? values[type] ?? "test",
    ]),
  );
}
