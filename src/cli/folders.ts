/** Where the command line keeps things (XDG base directory specification). */
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

type Environment = Readonly<Record<string, string | undefined>>;

/** Keys and values of what was read: `$XDG_CACHE_HOME/minicpm/blocks`, by default under `~/.cache`. */
export function cacheFolder(env: Environment = process.env): string {
  return join(base(env.XDG_CACHE_HOME, ".cache"), "minicpm", "blocks");
}

/** The chat that `--resume` goes on with: `$XDG_STATE_HOME/minicpm/last-chat`, by default under `~/.local/state`. */
export function lastChatFolder(env: Environment = process.env): string {
  return stateFile("last-chat", env);
}

/** `$XDG_STATE_HOME/minicpm/NAME`, by default under `~/.local/state`. */
export function stateFile(name: string, env: Environment = process.env): string {
  return join(base(env.XDG_STATE_HOME, join(".local", "state")), "minicpm", name);
}

function base(given: string | undefined, below: string): string {
  return given && isAbsolute(given) ? given : join(homedir(), below);
}
