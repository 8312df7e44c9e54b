#include <vector>

#include "kernels/reference/ops.h"

namespace minicpm::reference {

namespace {

/// Row `row` of group `group` of a block of y.
void quantize_group(const float* x, QuantizedBlock y, int64_t row, int64_t group) {
  int8_t integers[kQuantizedGroup];
  y.scales[group * y.rows + row] = quantize(x, kQuantizedGroup, integers);
  int sum = 0, half = 0;
  for (int64_t i = 0; i < kQuantizedGroup; i++) {
    const int64_t column = group * kQuantizedGroup + i;
    y.integers[(column / 4 * y.rows + row) * 4 + column % 4] = integers[i];
    sum += integers[i];
    if (i < kQuantizedGroup / 2) half = sum;
  }
  y.sums[group * y.rows + row] = sum;
  y.halves[group * y.rows + row] = half;
}

}  // namespace

void quantize_rows(const QuantizeRows& op) {
  const int64_t columns = op.x.columns;
  std::vector<float> gated(op.up.data ? static_cast<size_t>(columns) : 0);
  for (int64_t t = 0; t < op.x.rows; t++) {
    const float* x = op.x.as<float>() + t * columns;
    if (op.up.data) {
      const Tensor row{gated.data(), DType::f32, 1, columns};
      silu_mul({.y = row, .gate = op.x.slice(t, 1), .up = op.up.slice(t, 1)});
      x = gated.data();
    }
    const QuantizedBlock block = quantized_block(op.y, t / kQuantizedRows);
    for (int64_t group = 0; group < columns / kQuantizedGroup; group++) {
      quantize_group(x + group * kQuantizedGroup, block, t % kQuantizedRows, group);
    }
  }
}

}  // namespace minicpm::reference
