// Activations in a8 (kernels/quantize_rows.h) as kernels read and write them.
#pragma once

#include "kernels/cuda/port.h"
#include "kernels/quantize_rows.h"

namespace minicpm::cuda {

/// Where a row stands: in a block of 6 rows, or fewer at the end.
struct RoundedRow {
  int64_t first;   // row of its block
  int64_t rows;    // of the block
  int64_t number;  // in the block
};

struct RoundedRows {
  int8_t* integers;
  float* scales;
  int32_t *sums, *halves;
  int64_t rows, columns;

  DEVICE RoundedRow row(int64_t row) const {
    const int64_t first = row / kQuantizedRows * kQuantizedRows, left = rows - first;
    return {first, left < kQuantizedRows ? left : kQuantizedRows, row - first};
  }
  /// Byte of the four columns of step `step` of the row.
  DEVICE int64_t step(const RoundedRow& row, int64_t step) const {
    return row.first * columns + (step * row.rows + row.number) * 4;
  }
  /// Number in scales, sums and halves.
  DEVICE int64_t group(const RoundedRow& row, int64_t group) const {
    return row.first * (columns / kQuantizedGroup) + group * row.rows + row.number;
  }
  DEVICE uint32_t four(const RoundedRow& row, int64_t step) const {
    return *reinterpret_cast<const uint32_t*>(integers + this->step(row, step));
  }
};

inline RoundedRows rounded_rows(const Tensor& x) {
  const QuantizedBlock all = quantized_block(x, 0);
  return {all.integers, all.scales, all.sums, all.halves, x.rows, x.columns};
}

}  // namespace minicpm::cuda
