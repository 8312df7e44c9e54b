// Linear with packed weights and float activations: 32 columns of 16 rows are widened to floats
// once for many rows of x, and each lane is a weight row.
#include "kernels/cpu/linear_packed.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/packed.h"

namespace minicpm::ISA {

namespace {

constexpr int64_t kPassRows = 64;  // rows of x whose sums are held at once

/// Columns [32 block, ...) of a tile's 16 rows as floats q, [32][16].
void widen(const unsigned char* lines, DType format, int64_t block, float* weights) {
  const int bits = packed_bits(format), steps = 8 / bits, mask = (1 << bits) - 1;
  const int zero = packed_zero(format);
  for (int64_t i = 0; i < kPackedColumns; i++) {
    const int64_t step = block * (kPackedColumns / kPackedStep) + i / kPackedStep;
    const int shift = static_cast<int>(8 * (i % kPackedStep) + step % steps * bits);
    uint32_t words[kPackedRows];  // 4 columns of a row each
    __builtin_memcpy(words, lines + step / steps * kPackedLine, sizeof words);
    for (int64_t row = 0; row < kPackedRows; row++) {
      const int u = static_cast<int>(words[row] >> shift) & mask;
      weights[i * kPackedRows + row] = static_cast<float>(u - zero);
    }
  }
}

/// y = fma(sums of 32 columns, scale, y); weights are [32][16].
inline f32x16 add_columns(const float* weights, const float* x, f32x16 scale, f32x16 y) {
  f32x16 sums[kPackedStep] = {broadcast(0), broadcast(0), broadcast(0), broadcast(0)};
  for (int64_t i = 0; i < kPackedColumns; i += kPackedStep) {
    for (int64_t j = 0; j < kPackedStep; j++) {
      sums[j] = fma(load(weights + (i + j) * kPackedRows), broadcast(x[i + j]), sums[j]);
    }
  }
  return fma((sums[0] + sums[1]) + (sums[2] + sums[3]), scale, y);
}

void multiply_tile(const Linear& op, int64_t tile) {
  const Tensor& weight = op.weight;
  const int64_t columns = weight.columns, out = weight.rows;
  const auto* scales = static_cast<const unsigned char*>(weight.data) +
                       tile * packed_tile_bytes(weight.dtype, columns, weight.group);
  const unsigned char* lines = scales + packed_scale_bytes(columns, weight.group);
  const int64_t left = out - tile * kPackedRows;
  float weights[kPackedColumns * kPackedRows], y[kPassRows][kPackedRows];
  for (int64_t first = 0; first < op.x.rows; first += kPassRows) {
    const int64_t rows = op.x.rows - first < kPassRows ? op.x.rows - first : kPassRows;
    for (int64_t t = 0; t < rows; t++) store(y[t], broadcast(0));
    for (int64_t column = 0; column < columns; column += kPackedColumns) {
      widen(lines, weight.dtype, column / kPackedColumns, weights);
      const f32x16 scale =
          load(reinterpret_cast<const F16*>(scales) + column / weight.group * kPackedRows);
      const float* x = static_cast<const float*>(op.x.data) + first * columns + column;
      for (int64_t t = 0; t < rows; t++) {
        store(y[t], add_columns(weights, x + t * columns, scale, load(y[t])));
      }
    }
    for (int64_t t = 0; t < rows; t++) {
      finish_rows(op, y[t], (first + t) * out + tile * kPackedRows,
                  static_cast<int>(left < kPackedRows ? left : kPackedRows));
    }
  }
}

}  // namespace

void linear_widened(const Linear& op, Workers& workers) {
  if (op.x.rows == 0) return;
  auto item = [&](int tile, int) { multiply_tile(op, tile); };
  for_each(workers, static_cast<int>(packed_tiles(op.weight.rows)), item);
}

}  // namespace minicpm::ISA
