/** Writes models/tiny anew. Usage: node bench/run.mjs test/models/write-tiny.ts */
import { join } from "node:path";
import { root } from "../needs.ts";
import { writeTinyModel } from "./tiny.ts";

writeTinyModel(join(root, "models/tiny"));
