// Plain integer arithmetic in the compiler's own vectors: 4 rows at a time. Included by dot.h only.
#pragma once

namespace minicpm::ISA {

typedef uint8_t u8x16 __attribute__((vector_size(16)));
typedef int32_t i32x4 __attribute__((vector_size(16)));

constexpr int kParts = 4;
constexpr int kTilesAtOnce = 1;
using Bytes = u8x16;
using Dots = f32x4;

template <DType F>
inline void load_steps(const unsigned char* lines, Bytes* steps) {
  if constexpr (has_planes(F)) {
    load_steps<DType::w4>(lines, steps);
    for (int s = 0; s < kSteps; s++) {
      u8x16 bits;
      __builtin_memcpy(&bits, lines + (kNibbleLines + plane_line<F>(s)) * kPackedLine, sizeof bits);
      const int shift = plane_shift<F>(s);
      steps[s] |=
          (shift < 0 ? bits >> -shift : bits << shift) & static_cast<uint8_t>(kPlaneMask<F>);
    }
    return;
  }
  constexpr int kBits = packed_bits(F), kInLine = 8 / kBits;
  constexpr auto kMask = static_cast<uint8_t>((1 << kBits) - 1);
  for (int i = 0; i < kSteps / kInLine; i++) {
    u8x16 line;
    __builtin_memcpy(&line, lines + i * kPackedLine, sizeof line);
    for (int j = 0; j < kInLine; j++) {
      steps[i * kInLine + j] = line >> (j * kBits) & kMask;
    }
  }
}

/// One row of activations times steps [first, last) of the rows of one vector; column step s is at
/// x[s * stride], and they add up to `sum`.
template <int Zero>
inline Dots dot(const Bytes* steps, int first, int last, const int32_t* x, int64_t stride,
                int32_t sum) {
  const int32_t start = -Zero * sum;
  i32x4 sums = {start, start, start, start};
  for (int s = first; s < last; s++) {
    i32x4 four;
    __builtin_memcpy(&four, &steps[s], sizeof four);
    const auto activations = static_cast<uint32_t>(x[s * stride]);
    for (int j = 0; j < 4; j++) {
      sums += (four >> (8 * j) & 255) * static_cast<int8_t>(activations >> (8 * j));
    }
  }
  return __builtin_convertvector(sums, f32x4);
}

template <DType F, int Zero, int R, int M, typename Use>
inline void each_dot(const unsigned char* lines, int64_t, RoundedColumns x, Use use) {
  static_assert(R == 1);
  for (int part = 0; part < kParts; part++) {
    Bytes steps[kSteps];
    load_steps<F>(lines + part * kPackedLine / kParts, steps);
    for (int m = 0; m < M; m++) {
      use(part, m, dot<Zero>(steps, 0, kSteps, x.integers + m, M, x.sums[m]));
    }
  }
}

/// A half's dot product times its step is below 2^23: floats are exact, products and sums.
template <DType F, int R, int M, typename Use>
inline void each_stepped_dot(const unsigned char* lines, const int8_t* column_steps, int64_t,
                             RoundedColumns x, Use use) {
  static_assert(R == 1);
  constexpr int kZero = packed_zero(F), kHalf = kSteps / 2;
  for (int part = 0; part < kParts; part++) {
    Bytes steps[kSteps];
    load_steps<F>(lines + part * kPackedLine / kParts, steps);
    const Dots first_steps = load4(column_steps + part * kPackedRows / kParts);
    const Dots last_steps = load4(column_steps + kPackedRows + part * kPackedRows / kParts);
    for (int m = 0; m < M; m++) {
      const int32_t* integers = x.integers + m;
      const Dots first = dot<kZero>(steps, 0, kHalf, integers, M, x.halves[m]);
      const Dots last = dot<kZero>(steps, kHalf, kSteps, integers, M, x.sums[m] - x.halves[m]);
      use(part, m, first * first_steps + last * last_steps);
    }
  }
}

inline Dots no_dots() {
  return Dots{};
}

inline Dots load_scales(const F16* scales) {
  return load4(scales);
}

inline Dots load_scales(const float* scales) {
  return load4(scales);
}

inline Dots load_scales(const int8_t* scales) {
  return load4(scales);
}

inline Dots multiply_scales(Dots a, Dots b) {
  return a * b;
}

inline Dots add_scaled(Dots dot, Dots weight_scale, float scale, Dots y) {
  return fma4(dot, weight_scale * scale, y);
}

inline Dots subtract_scaled(Dots minimum, float scale, Dots y) {
  return fma4(-minimum, Dots{scale, scale, scale, scale}, y);
}

inline void store_dots(float* to, Dots y) {
  __builtin_memcpy(to, &y, sizeof y);
}

}  // namespace minicpm::ISA
