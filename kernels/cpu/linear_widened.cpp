// Linear with packed weights and float activations: 32 columns of 16 rows are widened to floats
// once for many rows of x, and each lane is a weight row.
#include "kernels/cpu/linear_packed.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/packed.h"

namespace minicpm::ISA {

namespace {

constexpr int64_t kPassRows = 64;  // rows of x whose sums are held at once

/// The 32-bit words of a block's lines that have `bits` bits of column i of 16 rows.
struct Words {
  uint32_t rows[kPackedRows];
  int shift;

  Words(const unsigned char* lines, int bits, int64_t i) {
    const PackedPlace place = packed_place(bits, 0, i);
    shift = static_cast<int>(8 * (i % kPackedStep)) + place.shift;
    __builtin_memcpy(rows, lines + place.byte - i % kPackedStep, sizeof rows);
  }
};

/// 32 columns of a tile's 16 rows as floats q, [32][16]; `lines` are those of the columns.
void widen(const unsigned char* lines, DType format, int zero, float* weights) {
  const int bits = has_planes(format) ? 4 : packed_bits(format), mask = (1 << bits) - 1;
  for (int64_t i = 0; i < kPackedColumns; i++) {
    const Words words(lines, bits, i);
    for (int64_t row = 0; row < kPackedRows; row++) {
      const int u = static_cast<int>(words.rows[row] >> words.shift) & mask;
      weights[i * kPackedRows + row] = static_cast<float>(u - zero);
    }
  }
  if (!has_planes(format)) return;
  const int upper = packed_bits(format) - 4, upper_mask = (1 << upper) - 1;
  for (int64_t i = 0; i < kPackedColumns; i++) {
    const Words words(lines + packed_block_bytes(DType::w4), upper, i);
    for (int64_t row = 0; row < kPackedRows; row++) {
      const int u = static_cast<int>(words.rows[row] >> words.shift) & upper_mask;
      weights[i * kPackedRows + row] += static_cast<float>(u * 16);
    }
  }
}

/// y = fma(sums of `count` columns, scale, y); weights are [count][16].
inline f32x16 add_columns(const float* weights, const float* x, int64_t count, f32x16 scale,
                          f32x16 y) {
  f32x16 sums[kPackedStep] = {broadcast(0), broadcast(0), broadcast(0), broadcast(0)};
  for (int64_t i = 0; i < count; i += kPackedStep) {
    for (int64_t j = 0; j < kPackedStep; j++) {
      sums[j] = fma(load(weights + (i + j) * kPackedRows), broadcast(x[i + j]), sums[j]);
    }
  }
  return fma((sums[0] + sums[1]) + (sums[2] + sums[3]), scale, y);
}

/// y = fma(-minimum, sum of 32 inputs, y).
inline f32x16 subtract_inputs(const float* x, f32x16 minimum, f32x16 y) {
  float sums[kPackedStep] = {};
  for (int64_t i = 0; i < kPackedColumns; i += kPackedStep) {
    for (int64_t j = 0; j < kPackedStep; j++) sums[j] += x[i + j];
  }
  const float sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  return fma(minimum, broadcast(-sum), y);
}

/// Scale and minimum of 16 rows, as PackedRow has them.
struct RowScales {
  f32x16 scale, minimum;
};

RowScales load_row_scales(const PackedScales& from, const Tensor& weight, int64_t column) {
  const int64_t group = column / weight.group * kPackedRows;
  const int64_t at = has_two_levels(weight.scales) ? column / kPackedSuper * kPackedRows : group;
  const f32x16 scale = load(from.scale + at), none = broadcast(0);
  switch (weight.scales) {
    case Scales::minimum:
      return {scale, load(from.minimum + at)};
    case Scales::zero_point:
      return {scale, scale * load(from.step + group)};
    case Scales::two_level:
      return {scale * load(from.step + group), none};
    case Scales::two_level_minimum:
      return {scale * load(from.step + group),
              load(from.minimum + at) * load(from.minimum_step + group)};
    default:
      return {scale, none};
  }
}

void multiply_tile(const Linear& op, int64_t tile) {
  const Tensor& weight = op.weight;
  const int64_t columns = weight.columns, out = weight.rows;
  const auto* start =
      static_cast<const unsigned char*>(weight.data) + tile * packed_tile_bytes(weight);
  const PackedScales scales = packed_scales(start, columns, weight.group, weight.scales);
  const unsigned char* lines = start + packed_scale_bytes(columns, weight.group, weight.scales);
  const int64_t block_bytes = packed_block_bytes(weight.dtype);
  const int zero = packed_zero(weight.dtype, weight.scales);
  const int64_t count = weight.group < kPackedColumns ? weight.group : kPackedColumns;
  const int64_t left = out - tile * kPackedRows;
  float weights[kPackedColumns * kPackedRows], y[kPassRows][kPackedRows];
  for (int64_t first = 0; first < op.x.rows; first += kPassRows) {
    const int64_t rows = op.x.rows - first < kPassRows ? op.x.rows - first : kPassRows;
    for (int64_t t = 0; t < rows; t++) store(y[t], broadcast(0));
    for (int64_t column = 0; column < columns; column += kPackedColumns) {
      widen(lines + column / kPackedColumns * block_bytes, weight.dtype, zero, weights);
      for (int64_t i = 0; i < kPackedColumns; i += count) {
        const RowScales its = load_row_scales(scales, weight, column + i);
        const float* x = static_cast<const float*>(op.x.data) + first * columns + column + i;
        for (int64_t t = 0; t < rows; t++) {
          const float* inputs = x + t * columns;
          f32x16 sum = add_columns(weights + i * kPackedRows, inputs, count, its.scale, load(y[t]));
          if (has_minimum(weight.scales)) sum = subtract_inputs(inputs, its.minimum, sum);
          store(y[t], sum);
        }
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
