#include <cmath>
#include <vector>

#include "kernels/packed.h"
#include "kernels/reference/ops.h"

namespace minicpm::reference {

namespace {

void linear_float(const Linear& op) {
  const int64_t in = op.x.columns, out = op.weight.rows;
  std::vector<double> weight(static_cast<size_t>(in));
  for (int64_t n = 0; n < out; n++) {
    for (int64_t k = 0; k < in; k++) {
      weight[static_cast<size_t>(k)] =
          element(op.weight.data, op.weight.dtype, static_cast<size_t>(n * in + k));
    }
    for (int64_t t = 0; t < op.x.rows; t++) {
      const float* x = op.x.as<float>() + t * in;
      double sum = 0;
      for (int64_t k = 0; k < in; k++) sum += weight[static_cast<size_t>(k)] * x[k];
      const double residual = op.residual.data ? op.residual.as<float>()[t * out + n] : 0;
      op.y.as<float>()[t * out + n] = static_cast<float>(residual + op.scale * sum);
    }
  }
}

/// A row of packed weights, its integers read once for all rows of x.
struct ReadRow : PackedRow {
  std::vector<int> integers;

  ReadRow(const Tensor& matrix, int64_t row) : PackedRow(matrix, row) {
    for (int64_t k = 0; k < columns; k++) integers.push_back(PackedRow::q(k));
  }
  int q(int64_t column) const { return integers[static_cast<size_t>(column)]; }
};

/// What columns [first, first + 32) add to y, x being row `t` of a8.
float add_rounded(const ReadRow& row, const Tensor& x, int64_t t, int64_t first, float y) {
  const QuantizedBlock block = quantized_block(x, t / kQuantizedRows);
  const int64_t lane = t % kQuantizedRows;
  const bool steps = row.scales == Scales::two_level;
  int dot = 0, sum = 0;
  for (int64_t k = first; k < first + kQuantizedGroup; k++) {
    const int integer = block.integers[(k / 4 * block.rows + lane) * 4 + k % 4];
    dot += row.q(k) * integer * (steps ? row.step(k) : 1);
    sum += integer;
  }
  const float scale = block.scales[first / kQuantizedGroup * block.rows + lane];
  const float weight_scale = steps ? row.super_scale(first) : row.scale(first);
  y = std::fma(static_cast<float>(dot), weight_scale * scale, y);
  if (!has_minimum(row.scales)) return y;
  return std::fma(-row.minimum(first), scale * static_cast<float>(sum), y);
}

/// What columns [first, first + count) of one scale add to y, x being a row of f32.
float add_floats(const ReadRow& row, const float* x, int64_t first, int64_t count, float y) {
  float sums[4] = {}, inputs[4] = {};
  for (int64_t k = first; k < first + count; k++) {
    sums[k % 4] = std::fma(static_cast<float>(row.q(k)), x[k], sums[k % 4]);
    inputs[k % 4] += x[k];
  }
  y = std::fma((sums[0] + sums[1]) + (sums[2] + sums[3]), row.scale(first), y);
  if (!has_minimum(row.scales)) return y;
  return std::fma(-row.minimum(first), (inputs[0] + inputs[1]) + (inputs[2] + inputs[3]), y);
}

void linear_packed(const Linear& op) {
  const int64_t in = op.x.columns, out = op.weight.rows;
  for (int64_t n = 0; n < out; n++) {
    const ReadRow row(op.weight, n);
    for (int64_t t = 0; t < op.x.rows; t++) {
      const bool rounded = op.x.dtype == DType::a8;
      const int64_t count = !rounded && row.group < kQuantizedGroup ? row.group : kQuantizedGroup;
      float y = 0;
      for (int64_t k = 0; k < in; k += count) {
        y = rounded ? add_rounded(row, op.x, t, k, y)
                    : add_floats(row, op.x.as<float>() + t * in, k, count, y);
      }
      const float scaled = op.scale * y;
      const int64_t at = t * out + n;
      op.y.as<float>()[at] = op.residual.data ? op.residual.as<float>()[at] + scaled : scaled;
    }
  }
}

}  // namespace

void linear(const Linear& op) {
  if (is_packed(op.weight.dtype)) return linear_packed(op);
  linear_float(op);
}

void linears(const Linears& op) {
  for (int i = 0; i < op.count; i++) linear(op.parts[i]);
}

}  // namespace minicpm::reference
