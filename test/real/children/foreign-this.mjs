// Calls every method and getter of one class on objects of others. Prints those that are not refused with a TypeError.
// Usage: node foreign-this.mjs ADDON PLAN
import { childArguments } from "./addon.mjs";

const { addon, plan } = childArguments();
const model = await addon.loadModel(plan);
const sequence = model.createSequence({ capacity: 16 });
const accepted = [];

for (const [own, other] of [
  [sequence, model],
  [model, sequence],
]) {
  const prototype = Object.getPrototypeOf(own);
  for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
    if (name === "constructor") continue;
    for (const self of [other, {}, prototype, Object.create(own), undefined, 5]) {
      try {
        (property.get ?? property.value).call(self, Int32Array.of(1));
        accepted.push(name);
      } catch (error) {
        if (!(error instanceof TypeError)) accepted.push(`${name}: ${error.message}`);
      }
    }
  }
}
console.log(JSON.stringify(accepted));
await model.dispose();
