// Text as it comes, with prefill progress and statistics. Usage: node test/examples/stream.mjs [MODEL]
import { loadModel } from "minicpm";

const model = await loadModel(process.argv[2] ?? "nano", { contextLength: 1024 });
const run = model.chat([{ role: "user", content: "Tell me a story about a fox named Leo." }], {
  seed: 1,
  maxTokens: 80,
});

for await (const event of run.events()) {
  if (event.type === "prefill") console.error(`prompt: ${event.done} of ${event.total} tokens`);
  if (event.type === "text") process.stdout.write(event.delta);
  if (event.type === "finish") {
    const { finishReason, usage, stats } = event.result;
    console.error(
      `\n${finishReason} after ${usage.completion} tokens, ${stats.decodeTps.toFixed(0)} a second`,
    );
  }
}
await model.close();
