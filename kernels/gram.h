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

/// Brings each row of x to a mean square of 1, so that every token counts alike; a row of zeros
/// stays as it is. Inputs of attention sinks, the first tokens of a text, may be a thousand times
/// as large as others, and a gram matrix of theirs says nothing of the rest.
void even_out(const Tensor& x);

}  // namespace minicpm
