/** A Hugging Face folder: config.json, safetensors, tokenizer.json, chat template, generation_config.json. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { CheckpointError, UnsupportedError } from "../errors.ts";
import { withFile } from "./byte-source.ts";
import { huggingFaceNaming, mapTensors, type Naming } from "./checkpoint.ts";
import { type ModelConfig, nativeConfig } from "./config.ts";
import type { ModelLocation } from "./find-model.ts";
import { parseGenerationConfig, parseHuggingFaceConfig } from "./huggingface-config.ts";
import { Fields, isObject, readJson } from "./json-fields.ts";
import type { ModelReader, OpenedText } from "./opened-model.ts";
import { readPackedMetadata } from "./packed-model.ts";
import { arrayFinder } from "./quant-arrays.ts";
import { folderQuantization, quantizationFiles } from "./quantization-config.ts";
import { openSafetensors } from "./safetensors.ts";
import { withTernary } from "./ternary.ts";
import { Tokenizer } from "./tokenizer.ts";

/** More than any chat template has, bytes. */
const mostTemplateBytes = 2 ** 20;

/** @throws CheckpointError, UnsupportedError */
export function openFolder(location: ModelLocation): ModelReader {
  const folder = location.path;
  const json = requiredJson(folder, "config.json");
  const config = parseHuggingFaceConfig(join(folder, "config.json"), json);
  const set = openSafetensors(folder);
  const packed = readPackedMetadata(set.path, set.metadata);
  const naming: Naming = {
    ...huggingFaceNaming,
    ...(packed
      ? { packing: packed }
      : { arrays: arrayFinder(set, config, folderQuantization(folder, json)) }),
  };
  const { weights: mapped, tiedHead, unknownTensors } = mapTensors(config, set, naming);
  const weights = withTernary({ files: set.files, weights: mapped });
  const plan = { config: nativeConfig(config), files: set.files, weights };
  return {
    checkpoint: { ...location, config, plan, ...(packed && { packed }), tiedHead, unknownTensors },
    readText: () => readText(folder, config, [set.path, ...set.files.map(({ path }) => path)]),
  };
}

function readText(folder: string, config: ModelConfig, weightFiles: readonly string[]): OpenedText {
  const beside = quantizationFiles.map((name) => join(folder, name)).filter((path) => existsSync(path));
  const sources = new Set([join(folder, "config.json"), ...beside, ...weightFiles]);
  const optionalJson = (name: string) => {
    const path = join(folder, name);
    if (!existsSync(path)) return undefined;
    sources.add(path);
    return Fields.of(path, withFile(path, readJson));
  };
  const generation = optionalJson("generation_config.json");
  const generationConfig = generation
    ? parseGenerationConfig(generation.file, generation.values, config.vocabSize)
    : {};
  const stopTokens = [...new Set([...config.eosTokens, ...(generationConfig.eosTokens ?? [])])];

  const settings = optionalJson("tokenizer_config.json");
  const tokenizer = openTokenizer(folder, config, stopTokens, settings);
  sources.add(join(folder, "tokenizer.json"));
  const templateFile = join(folder, "chat_template.jinja");
  const ownFile = existsSync(templateFile);
  if (ownFile) sources.add(templateFile);
  const chatTemplate = ownFile ? readTemplate(templateFile) : settings && embeddedTemplate(settings);
  return {
    tokenizer,
    ...(chatTemplate !== undefined && { chatTemplate }),
    templateTokens: settings ? templateTokens(settings) : {},
    generationConfig,
    stopTokens: Int32Array.from(stopTokens),
    sources: [...sources],
  };
}

function openTokenizer(
  folder: string,
  config: ModelConfig,
  eosTokens: readonly number[],
  settings: Fields | undefined,
): Tokenizer {
  const path = join(folder, "tokenizer.json");
  if (!existsSync(path) && existsSync(join(folder, "tokenizer.model"))) {
    throw new UnsupportedError(
      `A tokenizer.model without tokenizer.json (in ${folder})`,
      "Fetch the model's tokenizer.json too: Hugging Face repositories have it.",
    );
  }
  // Only the Llama classes of Hugging Face read add_bos_token; all others leave it to tokenizer.json.
  const isLlama = settings?.string("tokenizer_class")?.startsWith("Llama");
  const addBos = isLlama ? settings?.boolean("add_bos_token") : undefined;
  return new Tokenizer(path, requiredJson(folder, "tokenizer.json"), {
    bosToken: config.bosToken,
    eosTokens,
    addBos,
  });
}

/** The template inside tokenizer_config.json: a string, or a list of which `default` is taken. */
function embeddedTemplate(settings: Fields): string | undefined {
  const template = settings.get("chat_template");
  if (template === undefined || typeof template === "string") return template;
  const named = Array.isArray(template) ? (template as unknown[]) : [template];
  const chosen = named.find((entry) => isObject(entry) && entry.name === "default");
  const text = isObject(chosen) ? chosen.template : undefined;
  if (typeof text !== "string")
    throw settings.wrong("chat_template", "a text, or a list with a default", template);
  return text;
}

function templateTokens(settings: Fields): Record<string, string> {
  const tokens: Record<string, string> = {};
  for (const name of ["bos_token", "eos_token", "unk_token", "pad_token"]) {
    const token = settings.get(name);
    const text = isObject(token) ? token.content : token;
    if (typeof text === "string") tokens[name] = text;
  }
  return tokens;
}

function readTemplate(path: string): string {
  return withFile(path, (source) => {
    if (source.size <= mostTemplateBytes) return source.read(0, source.size).toString("utf8");
    throw new CheckpointError(path, "", `at most ${mostTemplateBytes} bytes`, `${source.size} bytes`);
  });
}

function requiredJson(folder: string, name: string): unknown {
  return withFile(join(folder, name), readJson);
}
