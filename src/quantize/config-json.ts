/** A model's numbers as Hugging Face's `config.json`, from whichever file they were read. */
import type { ModelConfig } from "../model/config.ts";
import type { OpenedCheckpoint } from "../model/opened-model.ts";

/** The class whose forward pass each of GGUF's architectures has. */
const classes: Readonly<Record<string, string>> = {
  minicpm: "MiniCPMForCausalLM",
  llama: "LlamaForCausalLM",
  qwen3: "Qwen3ForCausalLM",
};

/**
 * What `parseHuggingFaceConfig` reads as the same config: YaRN, too, is written as the LongRoPE list that it is held as.
 *
 * @param checkpoint a GGUF's, whose architecture is one of {@link classes}
 */
export function configJson({ config, tiedHead }: Pick<OpenedCheckpoint, "config" | "tiedHead">): object {
  const { architecture, longRope, bosToken, layers, hiddenSize } = config;
  return {
    architectures: [classes[architecture] ?? architecture],
    model_type: architecture,
    hidden_act: "silu",
    vocab_size: config.vocabSize,
    hidden_size: hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    head_dim: config.headDim,
    max_position_embeddings: config.maxContext,
    rms_norm_eps: config.rmsNormEps,
    rope_theta: config.ropeTheta,
    ...(longRope && { rope_scaling: ropeScaling(longRope) }),
    ...(architecture === "minicpm" && {
      scale_emb: config.embedScale,
      scale_depth: config.residualScale * Math.sqrt(layers),
      dim_model_base: config.logitScale * hiddenSize,
    }),
    tie_word_embeddings: tiedHead,
    ...(bosToken !== undefined && { bos_token_id: bosToken }),
    eos_token_id: config.eosTokens,
  };
}

/** The magnitude is written out: what the reader would take for it is another for YaRN. */
function ropeScaling({ shortFactor, longFactor, originalLength, magnitude }: LongRope): object {
  return {
    rope_type: "longrope",
    short_factor: shortFactor,
    long_factor: longFactor,
    original_max_position_embeddings: originalLength,
    attention_factor: magnitude,
  };
}

type LongRope = NonNullable<ModelConfig["longRope"]>;
