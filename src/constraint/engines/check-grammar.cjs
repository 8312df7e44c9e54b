// A worker that tries a grammar for its owner: a bad one ends this thread, or keeps it busy, and nobody else.
const { join } = require("node:path");
const { parentPort, workerData } = require("node:worker_threads");
const { GrammarCompiler, TokenizerInfo } = require(join(__dirname, "xgrammar.cjs"));

/** A token for each byte, and one that ends. */
const bytes = Array.from({ length: 256 }, (_, byte) => {
  const printable = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  return String.fromCodePoint(printable ? byte : 0x1000 + byte);
});

async function check() {
  const info = await TokenizerInfo.createTokenizerInfo([...bytes, ""], "raw", false, 257, [256]);
  const compiler = await GrammarCompiler.createGrammarCompiler(info);
  const compiled = await compiler.compileStructuralTag(workerData.tags);
  return { length: compiled.grammar().toString().length };
}

check().then(
  (found) => parentPort.postMessage(found),
  (error) =>
    parentPort.postMessage({ error: error instanceof Error ? error.message : "its engine cannot read it" }),
);
