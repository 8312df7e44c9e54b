/**
 * SmolLM2, which was trained on no tools at all, held to the full lists of MCP servers from npm: nothing is really called.
 * (Not to filesystem's in the Python form: there it comes to no end of its first path.)
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect, vi } from "vitest";
import { connectMcp, loadModel } from "../../src/index.ts";
import type { openModel } from "../../src/model/load.ts";
import { root, testNeeding } from "../needs.ts";
import { scratchFolder } from "../scratch-folder.ts";
import { how, peerServer, peers } from "./peer-servers.ts";

const file = join(root, "models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
const testBoth = testNeeding([file, peers], `models/smollm2/fetch and ${how} bring them`);
const files = join(scratchFolder(), "files");

/** Its own template has no place for tools; this has, and says how calls are written. */
const template = (example: string) => `<|im_start|>system
You call functions, like this:
${example}
{% for tool in tools or [] %}{{ tool.function | tojson }}
{% endfor %}<|im_end|>
{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`;

const asked = vi.hoisted(() => ({ template: "" }));
vi.mock("../../src/model/load.ts", async (importOriginal) => {
  const original = await importOriginal<{ openModel: typeof openModel }>();
  const opened: typeof openModel = (...given) => ({
    ...original.openModel(...given),
    chatTemplate: asked.template,
  });
  return { ...original, openModel: opened };
});

const servers = {
  everything: peerServer("everything"),
  filesystem: peerServer("filesystem", files),
  memory: { ...peerServer("memory"), env: { MEMORY_FILE_PATH: join(files, "memory.jsonl") } },
  thinking: peerServer("sequential-thinking"),
};
const forms = {
  python: "<|tool_call_start|>\n```python\nf(a=1)\n```\n<|tool_call_end|>",
  json: '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>',
  xml: '<function name="f"><param name="a">1</param></function>',
};

testBoth.each([
  ["python", "everything"],
  ["python", "memory"],
  ["python", "thinking"],
  ["json", "memory"],
  ["xml", "memory"],
  ["xml", "filesystem"],
] as const)("in the %s form each tool of server-%s is called as its schema has it", async (form, server) => {
  mkdirSync(files, { recursive: true });
  asked.template = template(forms[form]);
  await using host = await connectMcp({ mcpServers: { [server]: servers[server] } });
  await using model = await loadModel(file, { contextLength: 8192 });
  const tools = host.tools();
  const counts = { calls: 0, cut: 0 };
  for (const [seed, { name }] of tools.entries()) {
    const messages = [{ role: "user", content: `Call ${name} in a way that makes sense.` }] as const;
    const result = await model.chat(messages, {
      tools,
      toolChoice: { name },
      toolSelection: "all",
      dryRun: true,
      temperature: 0.7,
      seed,
      maxTokens: 100,
    });
    const runs = (result.steps ?? []).flatMap((step) => step.runs);
    const wrong = runs.filter(({ outcome }) => outcome !== "dry").map(({ text }) => text);
    expect([name, wrong]).toEqual([name, []]);
    counts.calls += runs.length;
    if (result.finishReason === "length") counts.cut++;
    else expect([result.malformedCalls, runs.map(({ call }) => call.name)]).toEqual([undefined, [name]]);
  }
  console.log(
    `${form}, ${server}: ${counts.calls} calls of ${tools.length} tools, ${counts.cut} cut off by maxTokens`,
  );
  expect(tools.length).toBeGreaterThan(0);
  expect(counts.calls + counts.cut).toBe(tools.length);
  expect(counts.calls).toBeGreaterThan(0);
});
