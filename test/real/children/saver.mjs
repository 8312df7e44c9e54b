/**
 * Goes on with the session saved in FOLDER/talk, with a cache in FOLDER/cache, and saves it again. Prints one JSON
 * object: the answer, the code and text of the save's error, and what the cache says of itself.
 *
 * Usage: node saver.mjs FOLDER
 */
import { join } from "node:path";
import { loadModel } from "../../../dist/index.js";

const [folder] = process.argv.slice(2);
const model = await loadModel("tiny", { threads: 1, cacheDir: join(folder, "cache"), cacheBytes: 0 });
const session = await model.loadSession(join(folder, "talk"));
const { text } = await session.send("Go on.", { temperature: 0, maxTokens: 200, ignoreEos: true });
const error = await session.save(join(folder, "talk")).then(
  () => undefined,
  (error) => ({ code: error.code, message: error.message }),
);
console.log(JSON.stringify({ text, error, problem: model.cacheStatus().problem }));
await session.close();
await model.close();
