/** What a `tokenizer.json` decoder does to a token's string, as data. */
import { UnsupportedError } from "../errors.ts";
import { Fields } from "./json-fields.ts";

export interface DecoderRules {
  /** Characters stand for bytes, GPT-2's table. */
  readonly byteLevel: boolean;
  /** `<0x41>` is a byte. */
  readonly byteFallback: boolean;
  /** Replaced in each token, in order: `▁` by a space. */
  readonly replacements: readonly (readonly [from: string, to: string])[];
  /** One space at the start of a text is dropped. */
  readonly stripStart: boolean;
}

/**
 * @param file named in errors
 * @throws CheckpointError, or UnsupportedError for decoders outside the byte-level and SentencePiece families.
 */
export function decoderRules(file: string, json: unknown): DecoderRules {
  const parts = flatten(Fields.of(file, json, "decoder."));
  const replacements: [string, string][] = [];
  const rules = { byteLevel: false, byteFallback: false, stripStart: false };
  for (const part of parts) {
    const type = part.string("type");
    if (type === "ByteLevel") {
      rules.byteLevel = true;
    } else if (type === "ByteFallback") {
      rules.byteFallback = true;
    } else if (type === "Replace") {
      const from = part.fields("pattern")?.string("String");
      if (!from) throw unsupported(file, "Replace without a String pattern");
      replacements.push([from, part.string("content") ?? ""]);
    } else if (type === "Strip") {
      const start = part.integer("start", { least: 0, most: 1 }, 0);
      part.integer("stop", { least: 0, most: 0 }, 0);
      if (part.string("content") !== " ") throw unsupported(file, "Strip of something else than a space");
      rules.stripStart ||= start === 1;
    } else if (type === "Metaspace") {
      replacements.push([part.string("replacement") ?? "▁", " "]);
      rules.stripStart ||= (part.string("prepend_scheme") ?? "always") !== "never";
    } else if (type !== "Fuse") {
      throw unsupported(file, String(type));
    }
  }
  return { ...rules, replacements };
}

function flatten(fields: Fields, depth = 0): Fields[] {
  if (fields.string("type") !== "Sequence") return [fields];
  const parts = fields.get("decoders");
  if (!Array.isArray(parts) || depth > 4) throw fields.wrong("decoders", "a list", parts);
  return parts.flatMap((part) => flatten(Fields.of(fields.file, part, "decoder."), depth + 1));
}

function unsupported(file: string, what: string): UnsupportedError {
  return new UnsupportedError(
    `The decoder ${what} (in ${file})`,
    "ByteLevel, ByteFallback, Fuse, Metaspace, Replace and Strip are.",
  );
}
