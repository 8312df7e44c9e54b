// vpmaddubsw adds two products of unsigned and signed bytes in int16, which must not saturate.
//
// w4, w2: the weights are the unsigned u = q + zero; 8 steps fit an int16 lane (8 * 2 * 15 * 127 =
// 30480), and are widened once. w8: |activation| times the weight with the activation's sign, two
// products (2 * 127 * 127 = 32258) at a time. Included by dot.h only.
#pragma once

#include <immintrin.h>

namespace minicpm::ISA {

constexpr int kParts = 2;
constexpr int kTogether = 1;
using Bytes = __m256i;
using Dots = __m256;

template <DType F>
inline void load_steps(const unsigned char* lines, Bytes* steps) {
  constexpr int kBits = packed_bits(F), kInLine = 8 / kBits;
  for (int i = 0; i < kSteps / kInLine; i++) {
    const __m256i line =
        _mm256_load_si256(reinterpret_cast<const __m256i*>(lines + i * kPackedLine));
    for (int j = 0; j < kInLine; j++) {
      const __m256i shifted = j == 0 ? line : _mm256_srli_epi16(line, j * kBits);
      steps[i * kInLine + j] = F == DType::w8
                                   ? _mm256_xor_si256(shifted, _mm256_set1_epi8(-128))  // q
                                   : _mm256_and_si256(shifted, _mm256_set1_epi8((1 << kBits) - 1));
    }
  }
}

/// dots[v] of V vectors of rows; column step s of the activations is at x[s * stride].
template <DType F, int V>
inline void dot(const Bytes (*steps)[kSteps], const int32_t* x, int64_t stride, int32_t sum,
                Dots* dots) {
  const __m256i ones = _mm256_set1_epi16(1);
  for (int v = 0; v < V; v++) {
    __m256i sums = _mm256_setzero_si256();
    for (int s = 0; s < kSteps; s++) {
      const __m256i four = _mm256_set1_epi32(x[s * stride]);
      if constexpr (F == DType::w8) {
        const __m256i pairs =
            _mm256_maddubs_epi16(_mm256_abs_epi8(four), _mm256_sign_epi8(steps[v][s], four));
        sums = _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, ones));
      } else {
        sums = _mm256_add_epi16(sums, _mm256_maddubs_epi16(steps[v][s], four));
      }
    }
    if constexpr (F != DType::w8) {
      sums =
          _mm256_sub_epi32(_mm256_madd_epi16(sums, ones), _mm256_set1_epi32(packed_zero(F) * sum));
    }
    dots[v] = _mm256_cvtepi32_ps(sums);
  }
}

inline Dots no_dots() {
  return _mm256_setzero_ps();
}

inline Dots load_scales(const F16* scales) {
  return load8(scales);
}

inline Dots load_scales(const float* scales) {
  return load8(scales);
}

inline Dots add_scaled(Dots dot, Dots weight_scale, float scale, Dots y) {
  return _mm256_fmadd_ps(dot, _mm256_mul_ps(weight_scale, _mm256_set1_ps(scale)), y);
}

inline void store_dots(float* to, Dots y) {
  _mm256_storeu_ps(to, y);
}

}  // namespace minicpm::ISA
