/** What a packed folder says about itself in its safetensors header, and which models can be packed. */
import { CheckpointError, UnsupportedError } from "../errors.ts";
import type { ModelPlan, PackFormat, Packing } from "../native/binding.ts";
import { isArrayType } from "./array-types.ts";
import { packedColumns } from "./weight-size.ts";

export const packFormats: readonly PackFormat[] = ["w8", "w4", "w2"];
export const packGroups = [32, 64, 128] as const;

/** kPackedLayout of kernels/packed.h: how bytes of packed matrices lie. A test compares the two. */
export const packedLayout = 1;

/** Counts up when names or meanings of the fields below change. */
const version = 1;

/** How weights were rounded: to nearest, or with feedback by what a text makes of a layer's inputs. */
export type PackMethod = "rtn" | "gptq" | "p-gptq";

export const packMethods: readonly PackMethod[] = ["rtn", "gptq", "p-gptq"];

/** A packed folder's own words. */
export interface PackedModel extends Packing {
  /** Absent: not said, `rtn`. */
  readonly method?: PackMethod;
  readonly source: {
    readonly name: string;
    /** `modelFingerprint` of the checkpoint it was made from. */
    readonly fingerprint: string;
  };
}

/** `__metadata__` of a packed folder's safetensors: texts, as the format has it. */
export function packedMetadata({
  format,
  group,
  method = "rtn",
  source,
}: PackedModel): Record<string, string> {
  return {
    format: "pt",
    "minicpm.packed": String(version),
    "minicpm.layout": String(packedLayout),
    "minicpm.format": format,
    "minicpm.group": String(group),
    "minicpm.method": method,
    "minicpm.source": source.name,
    "minicpm.source_fingerprint": source.fingerprint,
  };
}

/**
 * What `packedMetadata` wrote; undefined where it is not ours, an ordinary checkpoint then.
 *
 * @throws CheckpointError naming `file` and the field where it is ours and of another version or layout, or wrong.
 */
export function readPackedMetadata(
  file: string,
  metadata: Readonly<Record<string, unknown>> | undefined,
): PackedModel | undefined {
  if (metadata?.["minicpm.packed"] === undefined) return undefined;
  const oneOf = <Value>(field: string, values: readonly Value[]): Value => {
    const found = metadata[`minicpm.${field}`];
    const value = values.find((each) => String(each) === found);
    if (value !== undefined) return value;
    throw new CheckpointError(file, `minicpm.${field}`, values.join(" or "), shownText(found));
  };
  oneOf("packed", [version]);
  oneOf("layout", [packedLayout]);
  const text = (field: string): string => {
    const found = metadata[`minicpm.${field}`];
    if (typeof found === "string") return found;
    throw new CheckpointError(file, `minicpm.${field}`, "a text", shownText(found));
  };
  return {
    format: oneOf("format", packFormats),
    group: oneOf("group", packGroups),
    ...(metadata["minicpm.method"] !== undefined && { method: oneOf("method", packMethods) }),
    source: { name: text("source"), fingerprint: text("source_fingerprint") },
  };
}

/** @throws UnsupportedError naming the first matrix that cannot be packed. */
export function checkPackable({ pack, weights }: Pick<ModelPlan, "pack" | "weights">): void {
  if (!pack) return;
  for (const [name, { shape, dtype }] of Object.entries(weights)) {
    if (isArrayType(dtype)) continue;
    const columns = shape[1];
    if (columns !== undefined && columns % packedColumns !== 0) {
      throw new UnsupportedError(
        `pack "${pack.format}" of ${name}`,
        `Its rows have ${columns} numbers, packed ones a multiple of ${packedColumns}: load it without pack.`,
      );
    }
  }
}

function shownText(value: unknown): string {
  return value === undefined ? "nothing" : JSON.stringify(value).slice(0, 60);
}
