// Tools that need something of the client before they can answer: input-required results of 2026-07-28.
import { createRequestStateCodec, fromJsonSchema, inputRequired } from "@modelcontextprotocol/server";
import { z } from "zod";

export const state = createRequestStateCodec({ key: "0123456789abcdef0123456789abcdef" });

const said = (text) => ({ content: [{ type: "text", text }] });
const ask = (message, name, type = "string") =>
  inputRequired.elicit({
    message,
    requestedSchema: { type: "object", properties: { [name]: { type } }, required: [name] },
  });
const sample = (text, maxTokens) =>
  inputRequired.createMessage({ messages: [{ role: "user", content: { type: "text", text } }], maxTokens });

/** What the user filled in, if it is there and has the field. */
const filled = (responses, key, name) => {
  const answer = responses?.[key];
  return answer?.action === "accept" ? answer.content?.[name] : undefined;
};

export function addInputTools(server) {
  const tool = (name, run) =>
    server.registerTool(
      name,
      { description: `For the suite: ${name}.`, inputSchema: z.object({}) },
      (_, { mcpReq }) => run(mcpReq.inputResponses, mcpReq),
    );
  const name = ask("What is your name?", "name");

  tool("test_input_required_result_elicitation", (responses) => {
    const given = filled(responses, "user_name", "name");
    return given === undefined
      ? inputRequired({ inputRequests: { user_name: name } })
      : said(`Hello, ${given}!`);
  });
  tool("test_input_required_result_sampling", (responses) => {
    const answer = responses?.capital_question?.content?.text;
    const capital_question = sample("What is the capital of France?", 100);
    return answer === undefined ? inputRequired({ inputRequests: { capital_question } }) : said(answer);
  });
  tool("test_input_required_result_list_roots", (responses) => {
    const roots = responses?.client_roots?.roots;
    const client_roots = inputRequired.listRoots();
    return roots ? said(JSON.stringify(roots)) : inputRequired({ inputRequests: { client_roots } });
  });
  const confirm = ask("Please confirm", "ok", "boolean");
  for (const kind of ["request_state", "tampered_state"]) {
    tool(`test_input_required_result_${kind}`, async (responses, { requestState }) => {
      const known = requestState();
      if (responses?.confirm && known?.step === 1) return said("state-ok");
      return inputRequired({ inputRequests: { confirm }, requestState: await state.mint({ step: 1 }) });
    });
  }
  tool("test_input_required_result_multiple_inputs", async (responses) => {
    if (responses?.user_name && responses.greeting && responses.client_roots) return said("All is there.");
    const inputRequests = {
      user_name: name,
      greeting: sample("Generate a greeting", 50),
      client_roots: inputRequired.listRoots(),
    };
    return inputRequired({ inputRequests, requestState: await state.mint({ step: 1 }) });
  });
  tool("test_input_required_result_multi_round", async (responses, { requestState }) => {
    const { step, name: given } = requestState() ?? {};
    if (step === 2 && responses?.step2) return said(`${given} likes ${filled(responses, "step2", "color")}.`);
    if (step === 1 && responses?.step1) {
      const step2 = ask("Step 2: What is your favorite color?", "color");
      const next = { step: 2, name: filled(responses, "step1", "name") };
      return inputRequired({ inputRequests: { step2 }, requestState: await state.mint(next) });
    }
    const step1 = ask("Step 1: What is your name?", "name");
    return inputRequired({ inputRequests: { step1 }, requestState: await state.mint({ step: 1 }) });
  });
  tool("test_input_required_result_capabilities", (responses) => {
    const offered = server.server.getClientCapabilities() ?? {};
    if (responses?.user_name || responses?.greeting) return said("Thank you.");
    const inputRequests = {
      ...(offered.elicitation && { user_name: name }),
      ...(offered.sampling && { greeting: sample("Generate a greeting", 50) }),
    };
    return Object.keys(inputRequests).length > 0
      ? inputRequired({ inputRequests })
      : said("Nothing to ask with.");
  });
  tool("test_missing_capability", () => inputRequired({ inputRequests: { greeting: sample("Hello", 50) } }));
  tool("test_streaming_elicitation", async (responses, { _meta, notify }) => {
    const progressToken = _meta?.progressToken;
    if (progressToken !== undefined) {
      await notify({ method: "notifications/progress", params: { progressToken, progress: 1, total: 2 } });
    }
    const given = filled(responses, "user_name", "name");
    return given === undefined
      ? inputRequired({ inputRequests: { user_name: name } })
      : said(`Hello, ${given}!`);
  });
  tool("test_logging_tool", async (_, { log }) => {
    await log("info", "told only where the client asked for it");
    return said("logged");
  });
  server.registerPrompt(
    "test_input_required_result_prompt",
    { description: "For the suite: a prompt that asks." },
    ({ mcpReq }) => {
      const context = filled(mcpReq.inputResponses, "user_context", "context");
      const user_context = ask("What context should the prompt use?", "context");
      if (context === undefined) return inputRequired({ inputRequests: { user_context } });
      return {
        messages: [{ role: "user", content: { type: "text", text: `In the context of ${context}.` } }],
      };
    },
  );
  server.registerTool(
    "test_custom_headers",
    {
      description: "For the suite: parameters that are headers too.",
      inputSchema: fromJsonSchema({
        type: "object",
        properties: { region: { type: "string", "x-mcp-header": "Region" }, query: { type: "string" } },
      }),
    },
    (given) => said(JSON.stringify(given)),
  );
}
