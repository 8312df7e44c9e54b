/** Where other engines are found: installed apart, so that this package does not depend on them. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PeerNotFoundError } from "../errors.ts";

/** The clone's folder of peers, seen from src/bench and dist/bench alike. */
const peersFolder = fileURLToPath(new URL("../../bench/peers", import.meta.url));

/**
 * The entry of node-llama-cpp: in bench/peers of the clone, or in the working folder.
 *
 * @throws PeerNotFoundError
 */
export function findLlamaCpp(folders: readonly string[] = [peersFolder, process.cwd()]): string {
  return findPeer("node-llama-cpp", "dist/index.js", folders);
}

function findPeer(name: string, entry: string, folders: readonly string[]): string {
  const searched = folders.map((folder) => join(folder, "node_modules", name));
  const found = searched.find((folder) => existsSync(join(folder, entry)));
  if (found) return join(found, entry);
  const install = existsSync(join(peersFolder, "package.json"))
    ? `npm install --prefix ${peersFolder} --ignore-scripts`
    : `npm install --ignore-scripts ${name}`;
  throw new PeerNotFoundError(name, searched, install);
}
