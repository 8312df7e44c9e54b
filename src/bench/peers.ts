/** Where other engines are found: installed apart, so that this package does not depend on them. */
import { existsSync, readFileSync } from "node:fs";
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

/** The entry of onnxruntime-node, in the same places. @throws PeerNotFoundError */
export function findOnnxRuntime(folders: readonly string[] = [peersFolder, process.cwd()]): string {
  return findPeer("onnxruntime-node", "dist/index.js", folders);
}

function findPeer(name: string, entry: string, folders: readonly string[]): string {
  const searched = folders.map((folder) => join(folder, "node_modules", name));
  const found = searched.find((folder) => existsSync(join(folder, entry)));
  if (found) return join(found, entry);
  throw new PeerNotFoundError(name, searched, installCommand(name));
}

/** bench/peers lists the smaller ones; without a clone the working folder takes them. */
function installCommand(name: string): string {
  const list = join(peersFolder, "package.json");
  if (!existsSync(list)) return `npm install --ignore-scripts ${name}`;
  const command = `npm install --prefix ${peersFolder} --ignore-scripts`;
  return readFileSync(list, "utf8").includes(`"${name}"`) ? command : `${command} --no-save ${name}`;
}
