/** The scheduling class that measured processes share, so that nothing else on the machine gets between them. */
import { spawnSync } from "node:child_process";

export interface Scheduling {
  /** As the kernel calls it: "SCHED_RR 1" or "SCHED_OTHER". */
  readonly name: string;
  /** In words. */
  readonly description: string;
  /** What to put before a command. */
  readonly prefix: readonly string[];
}

const ordinary: Scheduling = { name: "SCHED_OTHER", description: "ordinary scheduling", prefix: [] };

const realTime: Scheduling = {
  name: "SCHED_RR 1",
  description: "real-time round robin",
  prefix: ["chrt", "-r", "1"],
};

/** Real-time round robin where this user may (root, with chrt of util-linux), else the ordinary class. */
export function findScheduling(): Scheduling {
  const [command = "", ...words] = realTime.prefix;
  return spawnSync(command, [...words, "true"], { stdio: "ignore" }).status === 0 ? realTime : ordinary;
}
