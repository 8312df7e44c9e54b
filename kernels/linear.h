#pragma once

#include "kernels/tensor.h"

namespace minicpm {

/// y = residual + scale * (x weight^T), the residual left out where it has no data.
///
/// Contract 1: a row of y depends on its row of x (and of residual) only; its sums run in the same
/// order whatever the number of rows. Float weights are summed in an order that may differ between
/// instruction sets.
struct Linear {
  Tensor y;         // [tokens, out], f32
  Tensor x;         // [tokens, in], f32
  Tensor weight;    // [out, in], f32, f16 or bf16: as the checkpoint stores it
  Tensor residual;  // [tokens, out], f32, or no data; may be the same memory as y
  float scale = 1;

  void check() const;
};

}  // namespace minicpm
