// Going on with a text, without a chat template. Usage: node test/examples/complete.mjs [MODEL] [TEXT]
import { loadModel } from "minicpm";

const model = await loadModel(process.argv[2] ?? "nano", { contextLength: 1024 });
const start = process.argv[3] ?? "Once upon a time";
const { text, logprobs } = await model.complete(start, { temperature: 0, maxTokens: 40, logprobs: 0 });

console.log(start + text);
const mean = logprobs.reduce((total, { logprob }) => total + logprob, 0) / logprobs.length;
console.log(`mean log-probability of a token: ${mean.toFixed(2)}`);
await model.close();
