// Plain integer arithmetic in the compiler's own vectors: 4 rows at a time. Included by dot.h only.
#pragma once

namespace minicpm::ISA {

typedef uint8_t u8x16 __attribute__((vector_size(16)));
typedef int32_t i32x4 __attribute__((vector_size(16)));

constexpr int kParts = 4;
constexpr int kTogether = 1;
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

/// dots[v] of V vectors of rows; column step s of the activations is at x[s * stride].
template <DType F, int V>
inline void dot(const Bytes (*steps)[kSteps], const int32_t* x, int64_t stride, int32_t sum,
                Dots* dots) {
  for (int v = 0; v < V; v++) {
    const int32_t start = -packed_zero(F) * sum;
    i32x4 sums = {start, start, start, start};
    for (int s = 0; s < kSteps; s++) {
      i32x4 four;
      __builtin_memcpy(&four, &steps[v][s], sizeof four);
      const auto activations = static_cast<uint32_t>(x[s * stride]);
      for (int j = 0; j < 4; j++) {
        sums += (four >> (8 * j) & 255) * static_cast<int8_t>(activations >> (8 * j));
      }
    }
    dots[v] = __builtin_convertvector(sums, f32x4);
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
