// What the conformance suite wants of a server beside the protocol: tools that give each kind of result.
import { ProtocolError } from "@modelcontextprotocol/server";
import { z } from "zod";
import { addInputTools } from "./input-tools.mjs";

export const png =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
const wav = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";
const pause = () => new Promise((resolve) => setTimeout(resolve, 50));
const said = (text) => ({ content: [{ type: "text", text }] });

export function addFixtureTools(server) {
  const tool = (name, run, inputSchema = z.object({})) =>
    server.registerTool(name, { description: `For the suite: ${name}.`, inputSchema }, run);
  const image = { type: "image", data: png, mimeType: "image/png" };
  const resource = (uri, mimeType, text) => ({ type: "resource", resource: { uri, mimeType, text } });

  tool("test_simple_text", () => said("This is a simple text response for testing."));
  tool("test_image_content", () => ({ content: [image] }));
  tool("test_audio_content", () => ({ content: [{ type: "audio", data: wav, mimeType: "audio/wav" }] }));
  tool("test_embedded_resource", () => ({
    content: [resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")],
  }));
  tool("test_multiple_content_types", () => ({
    content: [
      { type: "text", text: "Multiple content types test:" },
      image,
      resource("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
    ],
  }));
  tool("test_error_handling", () => {
    throw new Error("This tool intentionally returns an error for testing");
  });
  tool("test_tool_with_logging", async (_, { mcpReq }) => {
    for (const line of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
      await mcpReq.log("info", line);
      await pause();
    }
    return said("logged");
  });
  tool("test_tool_with_progress", async (_, { mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      if (progressToken !== undefined) {
        await mcpReq.notify({
          method: "notifications/progress",
          params: { progressToken, progress, total: 100 },
        });
      }
      await pause();
    }
    return said("done");
  });
  tool(
    "test_sampling",
    async ({ prompt }, { mcpReq }) => {
      const messages = [{ role: "user", content: { type: "text", text: prompt } }];
      const { content } = await mcpReq.requestSampling({ messages, maxTokens: 100 });
      return said(`LLM response: ${content.text}`);
    },
    z.object({ prompt: z.string() }),
  );
  const elicit = (name, prefix, message, properties, required = []) =>
    tool(
      name,
      async (given, { mcpReq }) => {
        const requestedSchema = { type: "object", properties, ...(required.length > 0 && { required }) };
        const { action, content } = await mcpReq.elicitInput({
          message: given.message ?? message,
          requestedSchema,
        });
        return said(`${prefix}: action=${action}, content=${JSON.stringify(content ?? {})}`);
      },
      z.object({ message: z.string().optional() }),
    );
  const text = (description) => ({ type: "string", description });
  elicit(
    "test_elicitation",
    "User response",
    "Who are you?",
    { username: text("User's response"), email: text("User's email address") },
    ["username", "email"],
  );
  elicit("test_elicitation_sep1034_defaults", "Elicitation completed", "Defaults", {
    name: { type: "string", default: "John Doe" },
    age: { type: "integer", default: 30 },
    score: { type: "number", default: 95.5 },
    status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
    verified: { type: "boolean", default: true },
  });
  const titled = (word) => [1, 2, 3].map((index) => ({ const: `value${index}`, title: `${word} ${index}` }));
  const options = ["option1", "option2", "option3"];
  elicit("test_elicitation_sep1330_enums", "Elicitation completed", "Choices", {
    untitledSingle: { type: "string", enum: options },
    titledSingle: { type: "string", oneOf: titled("Option") },
    legacyEnum: {
      type: "string",
      enum: ["opt1", "opt2", "opt3"],
      enumNames: ["Option One", "Option Two", "Option Three"],
    },
    untitledMulti: { type: "array", items: { type: "string", enum: options } },
    titledMulti: { type: "array", items: { anyOf: titled("Choice") } },
  });
  tool("test_reconnection", async (_, { http }) => {
    http?.closeSSE?.();
    await pause();
    return said("You are back.");
  });
  addInputTools(server);
  addResources(server);
  addPrompts(server, image);
}

function addResources(server) {
  const page = (name, uri, mimeType, contents) =>
    server.registerResource(name, uri, { description: `For the suite: ${name}.`, mimeType }, () => ({
      contents: [{ uri, mimeType, ...contents }],
    }));
  page("static-text", "test://static-text", "text/plain", {
    text: "This is the content of the static text resource.",
  });
  page("static-binary", "test://static-binary", "image/png", { blob: png });
  page("watched", "test://watched-resource", "text/plain", { text: "watched" });
  const subscribed = new Set();
  server.server.setRequestHandler("resources/subscribe", ({ params }) => {
    subscribed.add(params.uri);
    return {};
  });
  server.server.setRequestHandler("resources/unsubscribe", ({ params }) => {
    if (!subscribed.delete(params.uri)) throw new ProtocolError(-32_602, `${params.uri} is not subscribed`);
    return {};
  });
}

function addPrompts(server, image) {
  const user = (content) => ({ role: "user", content });
  const text = (value) => user({ type: "text", text: value });
  const prompt = (name, run, argsSchema) =>
    server.registerPrompt(
      name,
      { description: `For the suite: ${name}.`, ...(argsSchema && { argsSchema }) },
      run,
    );
  prompt("test_simple_prompt", () => ({ messages: [text("This is a simple prompt for testing.")] }));
  prompt(
    "test_prompt_with_arguments",
    ({ arg1, arg2 }) => ({ messages: [text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)] }),
    z.object({ arg1: z.string(), arg2: z.string() }),
  );
  prompt(
    "test_prompt_with_embedded_resource",
    ({ resourceUri: uri }) => ({
      messages: [
        user({
          type: "resource",
          resource: { uri, mimeType: "text/plain", text: "Embedded resource content for testing." },
        }),
        text("Please process the embedded resource above."),
      ],
    }),
    z.object({ resourceUri: z.string() }),
  );
  prompt("test_prompt_with_image", () => ({
    messages: [user(image), text("Please analyze the image above.")],
  }));
  server.server.setRequestHandler("completion/complete", () => ({
    completion: { values: ["paris", "park", "party"], total: 3, hasMore: false },
  }));
}
