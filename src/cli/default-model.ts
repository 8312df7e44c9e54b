/** The small model that comes with the package: what `chat` talks to when no model is named. */
import { fileURLToPath } from "node:url";

/** The package's own `models/` folder, seen from src/cli and dist/cli alike. */
export const packageModels = fileURLToPath(new URL("../../models", import.meta.url));

export const nanoPath = fileURLToPath(new URL("../../models/nano", import.meta.url));

/** Said once when nobody named a model. */
export const nanoNotice =
  "nano: a 5 M parameter model trained for this package, good for small talk and many mistakes. For a real one, " +
  "fetch the folder openbmb/MiniCPM4-0.5B from Hugging Face and run: minicpm chat PATH";
