#include "kernels/ternary.h"

#include <cmath>
#include <cstring>

#include "kernels/half.h"
#include "kernels/packed.h"

namespace minicpm {

namespace {

constexpr int64_t kMostColumns = 128;  // of a group

void widen(const Tensor& x, int64_t first, int64_t count, float* numbers) {
  if (x.dtype == DType::f32) {
    std::memcpy(numbers, x.as<float>() + first, static_cast<size_t>(count) * sizeof *numbers);
    return;
  }
  const uint16_t* halves = x.as<uint16_t>() + first;
  const bool f16 = x.dtype == DType::f16;
  for (int64_t i = 0; i < count; i++) {
    numbers[i] = f16 ? f16_to_f32(halves[i]) : bf16_to_f32(halves[i]);
  }
}

/// s of numbers that are ternary, or -1.
float ternary_scale(const float* x, int64_t count) {
  float largest = 0;
  for (int64_t i = 0; i < count; i++) {
    const float magnitude = std::fabs(x[i]);
    largest = magnitude > largest ? magnitude : largest;
  }
  bool same = true;
  for (int64_t i = 0; i < count; i++) same &= x[i] == 0 || std::fabs(x[i]) == largest;
  return same && f16_to_f32(f32_to_f16(largest)) == largest && largest <= 65504 ? largest : -1;
}

}  // namespace

void PackTernary::check() const {
  expect_packed("pack ternary", "y", y);
  expect("pack ternary", y.dtype == DType::w2, "y should be w2");
  expect("pack ternary", size_of(x.dtype) > 0 && x.dtype != DType::i32 && x.dtype != DType::i8,
         "x should be f32, f16 or bf16");
  expect("pack ternary", "x", x, y.rows, y.columns, x.dtype);
  expect("pack ternary", exact != nullptr, "exact should be there");
}

void pack_ternary_tile(const PackTernary& op, int64_t tile) {
  if (!op.exact->load(std::memory_order_relaxed)) return;
  const int64_t columns = op.y.columns, group = op.y.group, bytes = packed_tile_bytes(op.y);
  auto* start = op.y.as<unsigned char>() + tile * bytes;
  unsigned char* lines = start + packed_scale_bytes(columns, op.y.group);
  std::memset(start, 0, static_cast<size_t>(bytes));
  for (int64_t lane = 0; lane < kPackedRows; lane++) {
    const int64_t row = tile * kPackedRows + lane;
    for (int64_t first = 0; first < columns; first += group) {
      const int64_t count = columns - first < group ? columns - first : group;
      float x[kMostColumns] = {};
      if (row < op.y.rows) widen(op.x, row * columns + first, count, x);
      const float scale = ternary_scale(x, count);
      if (scale < 0) return op.exact->store(false, std::memory_order_relaxed);
      const uint16_t half = f32_to_f16(scale);
      std::memcpy(start + 2 * (first / group * kPackedRows + lane), &half, sizeof half);
      for (int64_t i = 0; i < count; i++) {
        const int u = (x[i] > 0) - (x[i] < 0) + packed_zero(DType::w2);
        const int64_t block = (first + i) / kPackedColumns;
        const auto [byte, shift] = packed_place(2, lane, first + i);
        lines[block * packed_block_bytes(DType::w2) + byte] |=
            static_cast<unsigned char>(u << shift);
      }
    }
  }
}

}  // namespace minicpm
