// Answers as an engine's process does, after what the workload's numbers say: prompt 1 fails, 2 ends, 3 never answers, 4 is
// killed.
const about = { engine: "scripted", backend: "", threads: 3, loadSeconds: 0, variants: ["a", "b"] };

process.on("message", (request) => {
  if (request.do === "open") {
    const failed = { error: { message: "no such weights", code: "CHECKPOINT" } };
    return process.send(request.spec.model === "missing" ? failed : { about });
  }
  const { workload, variant, round } = request;
  if (workload.prompt === 1) return process.send({ error: { message: "too much", code: "OUT_OF_MEMORY" } });
  if (workload.prompt === 2) {
    process.stderr.write("assertion failed: made up\n", () => process.exit(7));
    return undefined;
  }
  if (workload.prompt === 3) return undefined;
  if (workload.prompt === 4) return process.kill(process.pid, "SIGKILL");
  const sample = { seconds: 2, tokensPerSecond: 10 * round + variant };
  return process.send({ sample, usage: { idleCpu: 0.25, idle: 1, memoryBytes: 1000 * round } });
});
process.on("disconnect", () => process.exit());
