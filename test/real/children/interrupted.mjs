// Ends things in the middle of a decode. Prints "survived" if it gets there. Usage: node interrupted.mjs ADDON PLAN
// sequence | model | exit | throw
import { childArguments, decodeOptions } from "./addon.mjs";

const { addon, plan, words } = childArguments();
const [how] = words;

for (let round = 0; round < 30; ++round) {
  const model = await addon.loadModel(plan);
  const sequence = model.createSequence({ capacity: 1024 });
  await sequence.prefill(Int32Array.of(1, 5, 7));
  let first;
  const started = new Promise((resolve) => {
    first = resolve;
  });
  const running = sequence.decode(decodeOptions(1000), first);
  // Every other round at once, else when tokens are coming.
  if (round % 2 === 1) await started;

  if (how === "exit" && round === 3) {
    console.log("survived");
    process.exit(0);
  }
  if (how === "throw" && round === 3) throw new Error("on purpose");
  if (how === "sequence") sequence.dispose();
  const closed = how === "model" ? model.dispose() : undefined;
  if (how === "exit" || how === "throw") sequence.cancel();
  const outcome = await running.catch((error) => error.message);
  if (outcome !== "cancelled") throw new Error(`round ${round}: the decode ended as ${outcome}`);
  await closed;
  await model.dispose();
}
console.log("survived");
