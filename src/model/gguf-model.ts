/** A GGUF file: config, weights, vocabulary and chat template in one. */
import { withFile } from "./byte-source.ts";
import { mapTensors, type Naming } from "./checkpoint.ts";
import { nativeConfig } from "./config.ts";
import type { ModelLocation } from "./find-model.ts";
import { readGguf, supportedTypes } from "./gguf.ts";
import { parseGgufConfig } from "./gguf-config.ts";
import type { GgufValue } from "./gguf-cursor.ts";
import { ggufTokenizer } from "./gguf-tokenizer.ts";
import { Fields } from "./json-fields.ts";
import type { ModelReader, OpenedText } from "./opened-model.ts";
import { quantTypes } from "./quant-types.ts";
import { withTernary } from "./ternary.ts";
import { Tokenizer } from "./tokenizer.ts";

const ggufNaming: Omit<Naming, "interleaved"> = {
  outer: { embed: "token_embd.weight", head: "output.weight", norm: "output_norm.weight" },
  layer: (layer) => `blk.${layer}.`,
  inner: {
    "attn.norm": "attn_norm.weight",
    "attn.q": "attn_q.weight",
    "attn.k": "attn_k.weight",
    "attn.v": "attn_v.weight",
    "attn.o": "attn_output.weight",
    "attn.q_norm": "attn_q_norm.weight",
    "attn.k_norm": "attn_k_norm.weight",
    "mlp.norm": "ffn_norm.weight",
    "mlp.gate": "ffn_gate.weight",
    "mlp.up": "ffn_up.weight",
    "mlp.down": "ffn_down.weight",
  },
  matrixTypes: ["F32", "F16", "BF16", ...quantTypes],
  otherTypes: supportedTypes,
  known: /^rope_factors_(long|short)\.weight$/,
};

/** Architectures whose q and k rows llama.cpp keeps in halves, as everybody else does. */
const plainRows = new Set(["qwen3"]);

/** @throws CheckpointError, UnsupportedError */
export function openGguf(location: ModelLocation): ModelReader {
  return withFile(location.path, (source) => {
    const gguf = readGguf(source);
    const config = parseGgufConfig(source, gguf);
    const interleaved = !plainRows.has(config.architecture);
    const naming = { ...ggufNaming, interleaved };
    const { weights, tiedHead, unknownTensors } = mapTensors(config, gguf, naming);
    const { files } = gguf;
    const plan = { config: nativeConfig(config), files, weights: withTernary({ files, weights }) };
    const { bosToken, eosTokens } = config;
    return {
      checkpoint: { ...location, config, plan, tiedHead, unknownTensors },
      readText: () => readText(gguf.path, gguf.metadata, { bosToken, eosTokens }),
    };
  });
}

function readText(
  file: string,
  metadata: ReadonlyMap<string, GgufValue>,
  { bosToken, eosTokens }: { readonly bosToken: number | undefined; readonly eosTokens: readonly number[] },
): OpenedText {
  const { json, addBos } = ggufTokenizer(file, metadata);
  const tokenizer = new Tokenizer(file, json, { bosToken, eosTokens, addBos });
  const fields = new Fields(file, Object.fromEntries(metadata));
  const chatTemplate = fields.string("tokenizer.chat_template");
  return {
    tokenizer,
    ...(chatTemplate !== undefined && { chatTemplate }),
    templateTokens: templateTokens(fields, tokenizer),
    generationConfig: {},
    stopTokens: Int32Array.from(eosTokens),
    sources: [file],
  };
}

function templateTokens(fields: Fields, tokenizer: Tokenizer): Record<string, string> {
  const names = { bos_token: "bos", eos_token: "eos", unk_token: "unknown", pad_token: "padding" };
  const tokens: Record<string, string> = {};
  for (const [name, key] of Object.entries(names)) {
    const id = fields.get(`tokenizer.ggml.${key}_token_id`);
    const text = typeof id === "number" ? tokenizer.idToToken(id) : undefined;
    if (text !== undefined) tokens[name] = text;
  }
  return tokens;
}
