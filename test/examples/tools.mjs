// Tools, called by hand: the model asks, this program decides, runs them and sends what they give.
// Usage: node test/examples/tools.mjs [MODEL [QUESTION]]
import { loadModel } from "minicpm";

const tools = [
  {
    name: "get_sum",
    description: "Add two numbers.",
    parameters: {
      type: "object",
      properties: {
        a: { type: "number", description: "first number" },
        b: { type: "number", description: "second number" },
      },
      required: ["a", "b"],
    },
  },
];
const run = { get_sum: ({ a, b }) => ({ result: a + b }) };

const model = await loadModel(process.argv[2] ?? "nano", { contextLength: 2048 });
const session = model.createSession({ tools });
const question = process.argv[3] ?? "What is 17 plus 25?";
console.log(`> ${question}`);

let answer = await session.send(question, { temperature: 0 });
for (let step = 0; answer.finishReason === "calls" && step < 5; step++) {
  const results = answer.calls.map((call) => {
    // What a model writes is to be checked like any other input.
    const result = Object.hasOwn(run, call.name) ? run[call.name](call.arguments) : { error: "no such tool" };
    console.log(`${call.name}(${JSON.stringify(call.arguments)}) -> ${JSON.stringify(result)}`);
    return { role: "tool", content: JSON.stringify(result) };
  });
  answer = await session.send(results, { temperature: 0 });
}
console.log(answer.text);
await model.close();
