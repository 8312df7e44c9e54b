// A conversation that remembers. Usage: node test/examples/chat.mjs [MODEL]
import { loadModel } from "minicpm";

const model = await loadModel(process.argv[2] ?? "nano", { contextLength: 1024 });
const session = model.createSession({ system: "You are helpful." });

for (const question of ["Hello!", "What is the capital of France?"]) {
  const { text, usage } = await session.send(question, { temperature: 0, maxTokens: 60 });
  console.log(
    `> ${question}\n${text}\n(${usage.prompt} tokens of prompt, ${usage.cached} of them held already)`,
  );
}
await model.close();
