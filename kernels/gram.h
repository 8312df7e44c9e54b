// What the inputs of a linear are like: the Hessian of its squared error, but for a factor.
#pragma once

#include "kernels/tensor.h"

namespace minicpm {

/// y[i, j] += sum over tokens of x[t, i] x[t, j], for j <= i; the upper half stays as it is.
///
/// The order of the sums may differ between instruction sets, not between numbers of threads.
struct Gram {
  Tensor y;  // [in, in], f32
  Tensor x;  // [tokens, in], f32

  void check() const;
};

}  // namespace minicpm
