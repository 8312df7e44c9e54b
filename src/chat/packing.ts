/** What is asked of packed weights, checked against the model, as the native side takes it. */
import { OptionError, UnsupportedError } from "../errors.ts";
import type { OpenedCheckpoint } from "../model/opened-model.ts";
import { packFormats, packGroups } from "../model/packed-model.ts";
import { isRepacked } from "../model/weight-size.ts";
import type { ModelPlan, PackFormat, Packing } from "../native/binding.ts";
import { oneOf } from "./option-checks.ts";

export interface PackOptions {
  /**
   * Rounds the weights to 8, 4 or 2 bits (ternary) while they are loaded; head and embedding get 8. Every matrix needs a
   * multiple of 32 columns. Those of GPTQ, AWQ and Marlin and ternary ones run as they are whatever is asked. Default:
   * weights stay as the files have them; a packed folder's are packed already, and a GGUF's quantized ones run as they are.
   */
  readonly pack?: PackFormat | undefined;
  /** Weights of a row that share a scale when packed. Default 128. */
  readonly packGroup?: 32 | 64 | 128 | undefined;
  /**
   * What the linear layers' inputs are rounded to. Default "int8" with packed or quantized weights, else "f32", the only
   * one then.
   */
  readonly activations?: "f32" | "int8" | undefined;
}

/** Refuses values that there are none of, before a model is opened. @throws OptionError */
export function checkPackOptions({ pack, packGroup, activations }: PackOptions): void {
  if (pack !== undefined) oneOf("pack", pack, packFormats);
  if (packGroup !== undefined) oneOf("packGroup", packGroup, packGroups);
  if (activations !== undefined) oneOf("activations", activations, ["f32", "int8"]);
}

/**
 * The plan's part for packing and activations, with the defaults filled in.
 *
 * @param model the one that is to run, whose own matrices may be packed or quantized
 * @throws OptionError for a value that there is none of, or that asks to pack what is packed; UnsupportedError for int8
 *   activations without packed weights.
 */
export function packingOf(
  options: PackOptions,
  { packed, plan }: Pick<OpenedCheckpoint, "packed" | "plan">,
): Required<Pick<ModelPlan, "activations">> & Pick<ModelPlan, "pack"> {
  const { pack, packGroup, activations } = options;
  if (packed) refuseAgain(packed, { pack, packGroup });
  checkPackOptions(options);
  const packing = packed ?? (pack && { format: pack, group: packGroup ?? 128 });
  const quantized = Object.values(plan.weights).some(isRepacked);
  const inputs = activations ?? (packing || quantized ? "int8" : "f32");
  if (packing) return { pack: packing, activations: inputs };
  if (inputs === "f32" || quantized) return { activations: inputs };
  throw new UnsupportedError('activations "int8"', 'It needs packed weights: load with { pack: "w4" } too.');
}

/** A second rounding on top of the first would cost accuracy and gain nothing. */
function refuseAgain({ format, group }: Packing, asked: Pick<PackOptions, "pack" | "packGroup">): void {
  const [option, value] = Object.entries(asked).find(([, each]) => each !== undefined) ?? [];
  if (option === undefined) return;
  throw new OptionError(
    option,
    `left out: the model is packed already (${format}, groups of ${group})`,
    value,
  );
}
