/** What a checkpoint says of how its matrices were quantized: `quantization_config`, or a file of AutoGPTQ's or AutoAWQ's. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { UnsupportedError } from "../errors.ts";
import { withFile } from "./byte-source.ts";
import { Fields, isObject, readJson } from "./json-fields.ts";

export interface Quantization {
  readonly method: "gptq" | "awq";
  readonly bits: 4 | 8;
  /** Columns that share a scale: a multiple of 32. Absent: all of a row do. */
  readonly group?: number;
  /** Every zero point is 2^(bits - 1). */
  readonly symmetric: boolean;
  /** What has to be added to zero points as they are stored. */
  readonly addedToZeros: 0 | 1;
}

/** Names of the files that say it where config.json does not. */
export const quantizationFiles = ["quantize_config.json", "quant_config.json"] as const;

/**
 * Of a folder with this config.json; undefined where nothing in it says so.
 *
 * @throws CheckpointError, or UnsupportedError for other methods, numbers of bits and groups.
 */
export function folderQuantization(folder: string, config: unknown): Quantization | undefined {
  const its = configQuantization(join(folder, "config.json"), config);
  const beside = quantizationFiles.map((name) => join(folder, name)).find((path) => existsSync(path));
  return its || !beside ? its : fileQuantization(beside, withFile(beside, readJson));
}

/** What the `quantization_config` of a config.json says; throws as `folderQuantization`. */
export function configQuantization(file: string, config: unknown): Quantization | undefined {
  if (!isObject(config)) return undefined;
  const fields = new Fields(file, config).fields("quantization_config");
  return fields && readQuantization(fields, fields.string("quant_method") ?? "none");
}

/** What one of {@link quantizationFiles} says; throws as `folderQuantization`. */
export function fileQuantization(file: string, json: unknown): Quantization {
  const fields = Fields.of(file, json);
  return readQuantization(fields, fields.string("quant_method") ?? (fields.has("w_bit") ? "awq" : "gptq"));
}

function readQuantization(fields: Fields, method: string): Quantization {
  if (method === "gptq") return readGptq(fields);
  if (method === "awq") return readAwq(fields);
  throw unsupported(fields, `The quantization "${method}"`);
}

function readGptq(fields: Fields): Quantization {
  const bits = fields.integer("bits", { least: 1, most: 32 });
  if (bits !== 4 && bits !== 8) throw unsupported(fields, `GPTQ with ${bits} bits`);
  const format = fields.string("checkpoint_format") ?? "gptq";
  const isMarlin = fields.boolean("is_marlin_format");
  if (isMarlin || (format !== "gptq" && format !== "gptq_v2")) {
    throw unsupported(fields, `GPTQ's checkpoint_format "${isMarlin ? "marlin" : format}"`);
  }
  const words = fields.string("pack_dtype") ?? "int32";
  if (words !== "int32") throw unsupported(fields, `GPTQ's pack_dtype "${words}"`);
  return {
    method: "gptq",
    bits,
    ...readGroup(fields, "group_size"),
    symmetric: fields.boolean("sym") ?? false,
    addedToZeros: format === "gptq" ? 1 : 0,
  };
}

function readAwq(fields: Fields): Quantization {
  const its = (name: string, other: string) => (fields.has(name) ? name : other);
  const bits = fields.integer(its("bits", "w_bit"), { least: 1, most: 32 });
  if (bits !== 4) throw unsupported(fields, `AWQ with ${bits} bits`);
  const version = (fields.string("version") ?? "gemm").toLowerCase();
  if (version !== "gemm") throw unsupported(fields, `AWQ's version "${version}"`);
  return {
    method: "awq",
    bits,
    ...readGroup(fields, its("group_size", "q_group_size")),
    symmetric: false,
    addedToZeros: 0,
  };
}

function readGroup(fields: Fields, name: string): { readonly group?: number } {
  const group = fields.integer(name, { least: -1, most: 2 ** 20 }, -1);
  if (group <= 0) return {};
  if (group % 32 !== 0) throw unsupported(fields, `${name} ${group}`);
  return { group };
}

function unsupported({ file }: Fields, what: string): UnsupportedError {
  return new UnsupportedError(
    `${what} (in ${file})`,
    "GPTQ with 4 or 8 bits and AWQ's gemm version are, in groups of a multiple of 32. " +
      "Else take the checkpoint in bfloat16, or a GGUF file.",
  );
}
