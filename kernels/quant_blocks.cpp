#include "kernels/quant_blocks.h"

#include <cmath>
#include <cstring>

#include "kernels/packed.h"

namespace minicpm {

namespace {

constexpr int kGroup = 32;

uint8_t at(const std::byte* bytes, int64_t i) {
  return static_cast<uint8_t>(bytes[i]);
}

F16 half_at(const std::byte* bytes) {
  F16 half;
  std::memcpy(&half, bytes, sizeof half);
  return half;
}

/// 16 bytes: number i in the lower half of byte i, number i + 16 in the upper half.
void read_nibbles(const std::byte* bytes, uint8_t* u) {
  for (int i = 0; i < kGroup / 2; i++) {
    u[i] = at(bytes, i) & 15;
    u[i + kGroup / 2] = static_cast<uint8_t>(at(bytes, i) >> 4);
  }
}

/// Bit i is the fifth of number i.
void add_fifth_bits(const std::byte* bytes, uint8_t* u) {
  for (int i = 0; i < kGroup; i++) {
    u[i] = static_cast<uint8_t>(u[i] | (at(bytes, i / 8) >> i % 8 & 1) << 4);
  }
}

/// The file adds its minimum; ours is subtracted.
F16 negated(F16 half) {
  return {static_cast<uint16_t>(half.bits ^ 0x8000)};
}

/// Q4_0 to Q5_1: d, maybe m, maybe the fifth bits, nibbles.
void read_simple(const std::byte* block, bool minimum, bool five, QuantGroup& group) {
  group.scale = half_at(block);
  if (minimum) group.minimum = negated(half_at(block + 2));
  const std::byte* fifth = block + (minimum ? 4 : 2);
  read_nibbles(fifth + (five ? 4 : 0), group.u);
  if (five) add_fifth_bits(fifth, group.u);
}

/// Q4_K and Q5_K: d, dmin, 12 bytes of 8 scales and 8 minimums of 6 bits, maybe 32 bytes of fifth
/// bits (a bit a group), 128 bytes of nibbles, two groups in 32.
void read_levels(const std::byte* block, int g, bool five, QuantGroup& group) {
  group.scale = half_at(block);
  group.minimum = half_at(block + 2);
  const std::byte* six = block + 4;
  const int upper = g < 4 ? 0 : g - 4;
  const int scale = g < 4 ? at(six, g) & 63 : (at(six, g + 4) & 15) | (at(six, upper) >> 6) << 4;
  const int minimum =
      g < 4 ? at(six, g + 4) & 63 : at(six, g + 4) >> 4 | (at(six, upper + 4) >> 6) << 4;
  group.steps[0] = group.steps[1] = static_cast<int8_t>(scale);
  group.minimum_step = static_cast<int8_t>(minimum);
  const std::byte* fifth = block + 16;
  const std::byte* nibbles = fifth + (five ? kGroup : 0) + g / 2 * kGroup;
  for (int i = 0; i < kGroup; i++) {
    const int upper_bit = five ? (at(fifth, i) >> g & 1) << 4 : 0;
    group.u[i] = static_cast<uint8_t>((at(nibbles, i) >> g % 2 * 4 & 15) | upper_bit);
  }
}

/// 128 bytes of nibbles and 64 of upper bits, half of each for 128 numbers; 16 scales; d.
void read_q6_k(const std::byte* block, int g, QuantGroup& group) {
  const int half = g / 4, part = g % 4;
  const std::byte* nibbles = block + 64 * half + part % 2 * kGroup;
  const std::byte* upper = block + 128 + kGroup * half;
  for (int i = 0; i < kGroup; i++) {
    group.u[i] = static_cast<uint8_t>((at(nibbles, i) >> part / 2 * 4 & 15) |
                                      (at(upper, i) >> part * 2 & 3) << 4);
  }
  for (int i = 0; i < 2; i++) group.steps[i] = static_cast<int8_t>(at(block, 192 + 2 * g + i));
  group.scale = half_at(block + 208);
}

/// Digits to base 3, the first five of 32 bytes, five of 16, four of 4: a byte is their fraction of
/// 256. Then d.
int read_tq1_0(const std::byte* block, int i) {
  constexpr int kPowers[] = {1, 3, 9, 27, 81};
  const auto digit = [&](int first, int width, int from) {
    const int byte = at(block, first + (i - from) % width) * kPowers[(i - from) / width] & 255;
    return byte * 3 >> 8;
  };
  return i < 160 ? digit(0, 32, 0) : i < 240 ? digit(32, 16, 160) : digit(48, 4, 240);
}

}  // namespace

QuantShape shape_of(QuantType type) {
  switch (type) {
    case QuantType::q4_0:
      return {32, 18, DType::w4, Scales::symmetric, 32};
    case QuantType::q4_1:
      return {32, 20, DType::w4, Scales::minimum, 32};
    case QuantType::q5_0:
      return {32, 22, DType::w5, Scales::symmetric, 32};
    case QuantType::q5_1:
      return {32, 24, DType::w5, Scales::minimum, 32};
    case QuantType::q8_0:
      return {32, 34, DType::w8, Scales::symmetric, 32};
    case QuantType::q4_k:
      return {256, 144, DType::w4, Scales::two_level_minimum, 32};
    case QuantType::q5_k:
      return {256, 176, DType::w5, Scales::two_level_minimum, 32};
    case QuantType::q6_k:
      return {256, 210, DType::w6, Scales::two_level, 16};
    case QuantType::tq1_0:
      return {256, 54, DType::w2, Scales::symmetric, 128};
    case QuantType::tq2_0:
      break;
  }
  return {256, 66, DType::w2, Scales::symmetric, 128};
}

size_t quant_row_bytes(QuantType type, int64_t columns) {
  const QuantShape shape = shape_of(type);
  return static_cast<size_t>(columns / shape.elements * shape.bytes);
}

QuantGroup quant_group(QuantType type, const std::byte* row, int64_t column) {
  const QuantShape shape = shape_of(type);
  const std::byte* block = row + column / shape.elements * shape.bytes;
  const int first = static_cast<int>(column % shape.elements), g = first / kGroup;
  QuantGroup group{};
  switch (type) {
    case QuantType::q4_0:
      read_simple(block, false, false, group);
      break;
    case QuantType::q4_1:
      read_simple(block, true, false, group);
      break;
    case QuantType::q5_0:
      read_simple(block, false, true, group);
      break;
    case QuantType::q5_1:
      read_simple(block, true, true, group);
      break;
    case QuantType::q8_0:
      group.scale = half_at(block);
      for (int i = 0; i < kGroup; i++) group.u[i] = at(block, 2 + i) ^ 128;
      break;
    case QuantType::q4_k:
      read_levels(block, g, false, group);
      break;
    case QuantType::q5_k:
      read_levels(block, g, true, group);
      break;
    case QuantType::q6_k:
      read_q6_k(block, g, group);
      break;
    case QuantType::tq1_0:
      group.scale = half_at(block + 52);
      for (int i = 0; i < kGroup; i++) {
        group.u[i] = static_cast<uint8_t>(read_tq1_0(block, first + i));
      }
      break;
    case QuantType::tq2_0:
      group.scale = half_at(block + 64);
      for (int i = 0; i < kGroup; i++) {
        group.u[i] = at(block, g / 4 * kGroup + i) >> g % 4 * 2 & 3;
      }
      break;
  }
  return group;
}

void dequantize(QuantType type, const std::byte* row, int64_t columns, float* numbers) {
  const QuantShape shape = shape_of(type);
  const int zero = packed_zero(shape.format, shape.scales);
  const bool levels = has_two_levels(shape.scales);
  for (int64_t column = 0; column < columns; column += kGroup) {
    const QuantGroup group = quant_group(type, row, column);
    const float minimum =
        f16_to_f32(group.minimum.bits) * (levels ? static_cast<float>(group.minimum_step) : 1);
    for (int i = 0; i < kGroup; i++) {
      const float step = levels ? static_cast<float>(group.steps[i / 16]) : 1;
      const auto q = static_cast<float>(group.u[i] - zero);
      numbers[column + i] = std::fma(q, f16_to_f32(group.scale.bits) * step, -minimum);
    }
  }
}

}  // namespace minicpm
