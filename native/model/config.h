// The model's numbers as the forward pass uses them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/sparse_rule.h"

namespace minicpm {

/// LongRoPE (Ding et al. 2024, arXiv:2402.13753): a factor for every pair of dimensions, one list
/// for sequences within the original length, one for longer ones.
struct LongRope {
  std::vector<float> short_factor;  // [head_dim / 2]
  std::vector<float> long_factor;   // [head_dim / 2]
  int64_t original_length = 0;
  double magnitude = 1;  // multiplies cos and sin
  bool always_long = false;
};

/// Scales are worked out from scale_emb, scale_depth and dim_model_base by the caller; a plain
/// Llama has all scales 1.
struct Config {
  int vocab_size = 0;
  int hidden_size = 0;
  int intermediate_size = 0;
  int layers = 0;
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  float rms_norm_eps = 1e-6f;
  float embed_scale = 1;     // of embeddings
  float residual_scale = 1;  // of every residual branch
  float logit_scale = 1;     // of logits
  double rope_theta = 10000;
  std::optional<LongRope> long_rope;
  std::optional<SparseRule> sparse;  // none: every query attends to all keys before it
};

}  // namespace minicpm
