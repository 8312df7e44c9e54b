// Makes models and sequences and never disposes of them: the garbage collector has to. Prints native bytes as JSON.
// Usage: node --expose-gc dropped.mjs ADDON PLAN COUNT
import { childArguments } from "./addon.mjs";

const { addon, plan, words } = childArguments();
async function makeAndDrop() {
  const model = await addon.loadModel(plan);
  const sequence = model.createSequence({ capacity: 128 });
  await sequence.prefill(Int32Array.of(1, 5, 7));
}
for (let i = 0; i < Number(words[0]); ++i) await makeAndDrop();
const held = addon.nativeBytes();
for (let i = 0; i < 20 && addon.nativeBytes().allocated > 0; ++i) {
  global.gc();
  await new Promise((resolve) => setTimeout(resolve, 10));
}
console.log(JSON.stringify({ held, end: addon.nativeBytes() }));
