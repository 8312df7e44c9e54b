/**
 * Saves a session, or reads texts into a cache folder, again and again until it is killed. Tells on stdout what is done
 * for good: "ready", then "saved MESSAGES" or "read TEXT".
 *
 * Usage: node keeper.mjs save|read FOLDER FIRST
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { loadModel } from "../../../dist/index.js";
import { textOf } from "./texts.mjs";

const [mode, folder, first] = process.argv.slice(2);
const model = await loadModel("tiny", { threads: 1, cacheDir: join(folder, "cache"), cacheBytes: 0 });
const tell = (line) => process.stdout.write(`${line}\n`);
tell("ready");
if (mode === "save") {
  const talk = join(folder, "talk");
  const session = existsSync(join(talk, "session.json"))
    ? await model.loadSession(talk)
    : model.createSession({ system: textOf(0) });
  for (;;) {
    if (session.contextUsed > 700) session.reset();
    await session.send("Go on.", { temperature: 0, maxTokens: 40, ignoreEos: true });
    await session.save(talk);
    tell(`saved ${session.messages.length}`);
  }
}
for (let text = Number(first); ; text++) {
  await model.read([{ role: "system", content: textOf(text) }]);
  tell(`read ${text}`);
}
