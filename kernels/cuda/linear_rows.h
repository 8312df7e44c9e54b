// The two ways to multiply few rows of x. A launch takes up to kMostRows of them; each row's sum is
// the same, alone or beside others.
#pragma once

#include "kernels/cuda/ops.h"
#include "kernels/cuda/port.h"

namespace minicpm::cuda {

void linear_float(const Linear& op, Stream stream);   // weights in f32, f16 or bf16
void linear_packed(const Linear& op, Stream stream);  // w8, w6, w5, w4 or w2

/// What the end of a row's sum needs.
struct LinearOut {
  float* y;
  const float* residual;  // or null
  float scale;
  int64_t columns;  // of y

  DEVICE void store(int64_t row, int64_t column, float sum) const {
    const int64_t at = row * columns + column;
    y[at] = residual ? residual[at] + scale * sum : scale * sum;
  }
};

inline LinearOut linear_out(const Linear& op, int64_t first = 0) {
  const int64_t at = first * op.y.columns;
  return {op.y.as<float>() + at, op.residual.data ? op.residual.as<float>() + at : nullptr,
          op.scale, op.y.columns};
}

struct LinearRows {
  LinearOut out;
  const float* x;
  int64_t in;
  int rows;  // of x
};

constexpr int kMostRows = 8;

/// Calls `start(rows)` for up to kMostRows rows at a time, until all are done.
template <typename Start>
void for_row_chunks(const Linear& op, Start start) {
  for (int64_t first = 0; first < op.x.rows; first += kMostRows) {
    const int64_t left = op.x.rows - first;
    const LinearRows rows{linear_out(op, first), op.x.as<float>() + first * op.x.columns,
                          op.x.columns, static_cast<int>(left < kMostRows ? left : kMostRows)};
    start(rows);
  }
}

}  // namespace minicpm::cuda
