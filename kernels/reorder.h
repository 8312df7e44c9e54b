#pragma once

#include "kernels/tensor.h"

namespace minicpm {

/// y[t][i] = x[t][order[i]]: columns in the order of weights whose groups are not neighbours
/// (GPTQ's act-order).
struct ReorderColumns {
  Tensor y;      // [tokens, columns], f32; not the same memory as x
  Tensor x;      // [tokens, columns], f32
  Tensor order;  // [1, columns], i32, each of 0 to columns - 1 once

  void check() const;
};

/// Rows [first, last).
void reorder_rows(const ReorderColumns& op, int64_t first, int64_t last);

}  // namespace minicpm
