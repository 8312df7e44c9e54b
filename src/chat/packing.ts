/** What is asked of packed weights, checked against the model, as the native side takes it. */
import { OptionError, UnsupportedError } from "../errors.ts";
import type { ModelPlan, PackFormat } from "../native/binding.ts";

export interface PackOptions {
  readonly pack?: PackFormat | undefined;
  readonly packGroup?: 32 | 64 | 128 | undefined;
  readonly activations?: "f32" | "int8" | undefined;
}

export const packFormats: readonly PackFormat[] = ["w8", "w4", "w2"];
export const packGroups = [32, 64, 128] as const;

/** Columns of packed weights come in such blocks: a group of activations. */
const blockColumns = 32;

/**
 * The plan's part for packing and activations, with the defaults filled in.
 *
 * @throws OptionError for a value that there is none of, UnsupportedError for int8 activations without packed weights.
 */
export function packingOf({
  pack,
  packGroup = 128,
  activations = pack === undefined ? "f32" : "int8",
}: PackOptions): Required<Pick<ModelPlan, "activations">> & Pick<ModelPlan, "pack"> {
  if (pack !== undefined && !packFormats.includes(pack)) throw choiceError("pack", packFormats, pack);
  if (!packGroups.includes(packGroup)) throw choiceError("packGroup", packGroups, packGroup);
  if (activations !== "f32" && activations !== "int8") {
    throw choiceError("activations", ["f32", "int8"], activations);
  }
  if (pack === undefined) {
    if (activations === "f32") return { activations };
    throw new UnsupportedError(
      'activations "int8"',
      'It needs packed weights: load with { pack: "w4" } too.',
    );
  }
  return { pack: { format: pack, group: packGroup }, activations };
}

/** @throws UnsupportedError naming the first matrix that cannot be packed. */
export function checkPackable({ pack, weights }: Pick<ModelPlan, "pack" | "weights">): void {
  if (!pack) return;
  for (const [name, { shape }] of Object.entries(weights)) {
    const columns = shape[1];
    if (columns !== undefined && columns % blockColumns !== 0) {
      throw new UnsupportedError(
        `pack "${pack.format}" of ${name}`,
        `Its rows have ${columns} numbers, packed ones a multiple of ${blockColumns}: load it without pack.`,
      );
    }
  }
}

function choiceError(option: string, choices: readonly unknown[], found: unknown): OptionError {
  return new OptionError(option, choices.map((choice) => JSON.stringify(choice)).join(" or "), found);
}
