#pragma once

#include "kernels/tensor.h"

namespace minicpm {

/// y[t] = table[tokens[t]] * scale; of a packed table the weights are as kernels/packed.h rounds
/// them.
struct Embed {
  Tensor y;       // [tokens, hidden], f32
  Tensor tokens;  // [1, tokens], i32, each in [0, vocabulary)
  Tensor table;   // [vocabulary, hidden], f32, f16, bf16 or packed
  float scale;    // the model's scale_emb

  void check() const;
  /// Throws Error{kShape} where one is not; they are in memory of the host's.
  void check_tokens() const;
};

}  // namespace minicpm
