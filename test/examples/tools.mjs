// Tools: the model asks, the program's function runs, and the answer goes on from what it gave.
// Usage: node test/examples/tools.mjs [MODEL [QUESTION]]
import { defineTool, loadModel } from "minicpm";

const sum = defineTool({
  name: "get_sum",
  description: "Add two numbers.",
  input: {
    type: "object",
    properties: {
      a: { type: "number", description: "first number" },
      b: { type: "number", description: "second number" },
    },
    required: ["a", "b"],
  },
  run: ({ a, b }) => ({ result: a + b }),
});

const model = await loadModel(process.argv[2] ?? "nano", { contextLength: 2048 });
const question = process.argv[3] ?? "What is 17 plus 25?";
console.log(`> ${question}`);

const { text } = await model.chat([{ role: "user", content: question }], {
  tools: [sum],
  temperature: 0,
  onToolRun: ({ call, text }) => console.log(`${call.name}(${JSON.stringify(call.arguments)}) -> ${text}`),
});
console.log(text);
await model.close();
