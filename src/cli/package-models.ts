/** What comes with the package, seen from src/cli and dist/cli alike. */
import { fileURLToPath } from "node:url";

export const packageModels = fileURLToPath(new URL("../../models", import.meta.url));

/** The small model that is there when no other is. */
export const nanoPath = fileURLToPath(new URL("../../models/nano", import.meta.url));
