// SwiGLU's gate: Shazeer 2020, arXiv:2002.05202.
#pragma once

#include "kernels/tensor.h"

namespace minicpm {

/// y = gate / (1 + exp(-gate)) * up, element by element.
struct SiluMul {
  Tensor y;     // [tokens, intermediate], f32; may be the same memory as gate
  Tensor gate;  // [tokens, intermediate], f32
  Tensor up;    // [tokens, intermediate], f32

  void check() const;
};

}  // namespace minicpm
