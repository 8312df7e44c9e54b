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

/// One row of activations times the rows of one vector; column step s is at x[s * stride].
template <DType F>
inline Dots dot(const Bytes* steps, const int32_t* x, int64_t stride, int32_t sum) {
  const int32_t start = -packed_zero(F) * sum;
  i32x4 sums = {start, start, start, start};
  for (int s = 0; s < kSteps; s++) {
    i32x4 four;
    __builtin_memcpy(&four, &steps[s], sizeof four);
    const auto activations = static_cast<uint32_t>(x[s * stride]);
    for (int j = 0; j < 4; j++) {
      sums += (four >> (8 * j) & 255) * static_cast<int8_t>(activations >> (8 * j));
    }
  }
  return __builtin_convertvector(sums, f32x4);
}

template <DType F, int R, int M, typename Use>
inline void each_dot(const unsigned char* lines, int64_t, const int32_t* x, const int32_t* sums,
                     Use use) {
  static_assert(R == 1);
  for (int part = 0; part < kParts; part++) {
    Bytes steps[kSteps];
    load_steps<F>(lines + part * kPackedLine / kParts, steps);
    for (int m = 0; m < M; m++) use(part, m, dot<F>(steps, x + m, M, sums[m]));
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

inline Dots add_scaled(Dots dot, Dots weight_scale, float scale, Dots y) {
  return fma4(dot, weight_scale * scale, y);
}

inline void store_dots(float* to, Dots y) {
  __builtin_memcpy(to, &y, sizeof y);
}

}  // namespace minicpm::ISA
