// How the rounding error of a weight is made up for by the weights behind it. GPTQ: Frantar et al.
// 2023, arXiv:2210.17323, in the equal form of QuIP (LDLQ: Chee et al. 2023, arXiv:2307.13304,
// theorem 6), which takes no inverse.
#pragma once

#include "kernels/tensor.h"

namespace minicpm {

/// Splits H = the gram matrix + damping * (mean of its diagonal) * I:
///
///   H = (U + I) diag(importance) (U + I)^T, U strictly upper;  coefficients[k, j] = U[j, k], j < k
///
/// so that errors e of a row of weights cost e H e^T = sum over k of importance[k] * (e[k] + sum
/// over j < k of coefficients[k, j] e[j])^2. Computed in double, from the last column to the first.
/// Where the gram matrix is 0, H is I.
struct Feedback {
  Tensor coefficients;  // [in, in], f32: holds Gram's y before; the upper half stays as it is; in %
                        // 32 = 0
  Tensor importance;    // [1, in], f32
  float damping;        // above 0
  double* work;         // in * in numbers

  void check() const;

  /// What goes to the diagonal of H.
  double added() const;
};

}  // namespace minicpm
