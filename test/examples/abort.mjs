// Stopping an answer, and keeping what was made of it. Usage: node test/examples/abort.mjs [MODEL]
import { loadModel } from "minicpm";

const model = await loadModel(process.argv[2] ?? "nano", { contextLength: 1024 });
const stop = new AbortController();
const run = model.chat([{ role: "user", content: "Tell me a story about a fox named Leo." }], {
  signal: stop.signal,
  maxTokens: 500,
  ignoreEos: true,
});

try {
  let characters = 0;
  for await (const text of run) {
    process.stdout.write(text);
    characters += text.length;
    if (characters > 40) stop.abort();
  }
} catch (error) {
  if (error.name !== "AbortError") throw error;
  console.log(`\nStopped: ${error.partial.finishReason} after ${error.partial.usage.completion} tokens.`);
} finally {
  await model.close();
}
