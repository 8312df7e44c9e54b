/** What is asked of packed weights, checked against the model, as the native side takes it. */
import { OptionError, UnsupportedError } from "../errors.ts";
import { packFormats, packGroups } from "../model/packed-model.ts";
import type { ModelPlan, PackFormat, Packing } from "../native/binding.ts";

export interface PackOptions {
  readonly pack?: PackFormat | undefined;
  readonly packGroup?: 32 | 64 | 128 | undefined;
  readonly activations?: "f32" | "int8" | undefined;
}

/**
 * The plan's part for packing and activations, with the defaults filled in.
 *
 * @param packed how the model's own matrices are packed, where they are
 * @throws OptionError for a value that there is none of, or that asks to pack what is packed; UnsupportedError for int8
 *   activations without packed weights.
 */
export function packingOf(
  { pack, packGroup, activations }: PackOptions,
  packed?: Packing,
): Required<Pick<ModelPlan, "activations">> & Pick<ModelPlan, "pack"> {
  if (packed) refuseAgain(packed, { pack, packGroup });
  if (pack !== undefined && !packFormats.includes(pack)) throw choiceError("pack", packFormats, pack);
  if (packGroup !== undefined && !packGroups.includes(packGroup)) {
    throw choiceError("packGroup", packGroups, packGroup);
  }
  const packing = packed ?? (pack && { format: pack, group: packGroup ?? 128 });
  const inputs = activations ?? (packing ? "int8" : "f32");
  if (inputs !== "f32" && inputs !== "int8") throw choiceError("activations", ["f32", "int8"], inputs);
  if (packing) return { pack: packing, activations: inputs };
  if (inputs === "f32") return { activations: inputs };
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

function choiceError(option: string, choices: readonly unknown[], found: unknown): OptionError {
  return new OptionError(option, choices.map((choice) => JSON.stringify(choice)).join(" or "), found);
}
