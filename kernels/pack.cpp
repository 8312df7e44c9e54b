#include "kernels/pack.h"

#include <cmath>
#include <cstring>

#include "kernels/half.h"
#include "kernels/packed.h"
#include "kernels/w4_scale.h"

namespace minicpm {

namespace {

void widen_row(const Tensor& x, int64_t row, float* numbers) {
  const int64_t columns = x.columns;
  if (x.dtype == DType::f32) {
    std::memcpy(numbers, x.as<float>() + row * columns, static_cast<size_t>(columns) * 4);
    return;
  }
  const uint16_t* halves = x.as<uint16_t>() + row * columns;
  const bool f16 = x.dtype == DType::f16;
  for (int64_t i = 0; i < columns; i++) {
    numbers[i] = f16 ? f16_to_f32(halves[i]) : bf16_to_f32(halves[i]);
  }
}

/// Mean of the magnitudes above `least`; 0 where there is none.
double mean_above(const float* x, int64_t count, double least) {
  double sum = 0;
  int64_t above = 0;
  for (int64_t i = 0; i < count; i++) {
    const double magnitude = std::fabs(x[i]);
    sum += magnitude > least ? magnitude : 0;
    above += magnitude > least;
  }
  return above > 0 ? sum / static_cast<double>(above) : 0;
}

float largest_of(const float* x, int64_t count) {
  float largest = 0;
  for (int64_t i = 0; i < count; i++) {
    largest = std::fabs(x[i]) > std::fabs(largest) ? x[i] : largest;
  }
  return largest;
}

uint16_t stored_w4_scale(const float* x, int64_t count) {
  const float largest = largest_of(x, count);
  const uint16_t plain = packed_scale(largest / -8);
  const float magnitude = std::fabs(largest);
  if (plain == 0 || !(magnitude > 1e-8f && magnitude < 1e9f)) return plain;
  const uint16_t fitted = packed_scale(w4_scale(x, count, largest));
  if (fitted == 0 || fitted == plain) return plain;
  const bool better =
      w4_error(x, count, f16_to_f32(fitted)) < w4_error(x, count, f16_to_f32(plain));
  return better ? fitted : plain;
}

uint16_t stored_scale(DType format, const float* x, int64_t count) {
  bool finite = true;
  for (int64_t i = 0; i < count; i++) finite &= std::fabs(x[i]) <= 3.402823466e38f;
  if (!finite) return kPackedNan;
  if (format == DType::w4) return stored_w4_scale(x, count);
  if (format == DType::w8) return packed_scale(std::fabs(largest_of(x, count)) / 127);
  const double mean = mean_above(x, count, -1);
  return packed_scale(static_cast<float>(mean_above(x, count, 0.7 * mean)));
}

/// q of `count` numbers, in place.
void round_group(DType format, float scale, float* x, int64_t count) {
  const float low = format == DType::w8 ? -127 : format == DType::w4 ? -8 : -1;
  const float high = format == DType::w8 ? 127 : format == DType::w4 ? 7 : 1;
  constexpr float kShifter = 0x1.8p23f;  // adding it rounds to an integer, ties to even
  const bool none = !(scale > 0 || scale < 0);
  for (int64_t i = 0; i < count; i++) {
    const float quotient = none ? 0 : x[i] / scale;
    const float least = quotient > low ? quotient : low;
    x[i] = ((least < high ? least : high) + kShifter) - kShifter;
  }
}

}  // namespace

void Pack::check() const {
  expect_packed("pack", "y", y);
  expect("pack", !has_planes(y.dtype) && y.scales == Scales::symmetric,
         "y should be w8, w4 or w2 with symmetric scales");
  expect("pack", size_of(x.dtype) > 0 && x.dtype != DType::i32, "x should be f32, f16 or bf16");
  expect("pack", "x", x, y.rows, y.columns, x.dtype);
}

void pack_tile(const Pack& op, int64_t tile, float* row) {
  const DType format = op.y.dtype;
  const int64_t columns = op.y.columns, group = op.y.group;
  const int bits = packed_bits(format), steps = 8 / bits, zero = packed_zero(format);
  const auto bytes = static_cast<size_t>(packed_tile_bytes(format, columns, op.y.group));
  auto* scales = op.y.as<unsigned char>() + static_cast<size_t>(tile) * bytes;
  auto* integers = scales + packed_scale_bytes(columns, op.y.group);
  std::memset(scales, 0, bytes);
  for (int64_t lane = 0; lane < kPackedRows; lane++) {
    const int64_t source = tile * kPackedRows + lane;
    if (source < op.x.rows) {
      widen_row(op.x, source, row);
    } else {
      std::memset(row, 0, static_cast<size_t>(columns) * sizeof(float));
    }
    for (int64_t first = 0; first < columns; first += group) {
      const int64_t count = columns - first < group ? columns - first : group;
      const uint16_t half = source < op.x.rows ? stored_scale(format, row + first, count) : 0;
      std::memcpy(scales + 2 * (first / group * kPackedRows + lane), &half, sizeof half);
      round_group(format, f16_to_f32(half), row + first, count);
    }
    for (int64_t column = 0; column < columns; column++) {
      const int u = static_cast<int>(row[column]) + zero;
      const int64_t step = column / kPackedStep;
      integers[step / steps * kPackedLine + lane * kPackedStep + column % kPackedStep] |=
          static_cast<unsigned char>(u << (step % steps * bits));
    }
  }
}

}  // namespace minicpm
