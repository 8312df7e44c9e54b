// vpmaddubsw adds two products of unsigned and signed bytes in int16, which must not saturate.
//
// w4, w2: the weights are the unsigned u = q + zero; 8 steps fit an int16 lane (8 * 2 * 15 * 127 =
// 30480), and are widened once. w8: |activation| times the weight with the activation's sign, two
// products (2 * 127 * 127 = 32258) at a time. Included by dot.h only.
#pragma once

#include <immintrin.h>

namespace minicpm::ISA {

constexpr int kParts = 2;
constexpr int kTilesAtOnce = 1;
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

/// One row of activations times one vector of w8 rows, in order: column step s is at x[s * stride].
inline __m256i dot_w8(const Bytes* steps, const int32_t* x, int64_t stride) {
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i sums = _mm256_setzero_si256();
  for (int s = 0; s < kSteps; s++) {
    const __m256i four = _mm256_set1_epi32(x[s * stride]);
    const __m256i pairs =
        _mm256_maddubs_epi16(_mm256_abs_epi8(four), _mm256_sign_epi8(steps[s], four));
    sums = _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, ones));
  }
  return sums;
}

/// Adds one step of both halves of a tile, times one broadcast of activations, in int16 lanes. With
/// 12 accumulators and 2 vectors of weights this takes all 16 registers; the assembly keeps the
/// compiler from reordering the steps, which would spill them.
inline void add_step(const int32_t& x, __m256i low, __m256i high, __m256i* pairs_low,
                     __m256i* pairs_high) {
  __m256i four, products;
  asm volatile(
      "vpbroadcastd %4, %0\n\t"
      "vpmaddubsw %0, %5, %1\n\t"
      "vpmaddubsw %0, %6, %0\n\t"
      "vpaddw %1, %2, %2\n\t"
      "vpaddw %0, %3, %3"
      : "=&x"(four), "=&x"(products), "+x"(*pairs_low), "+x"(*pairs_high)
      : "m"(x), "x"(low), "x"(high));
}

template <DType F, int R, int M, typename Use>
inline void each_dot(const unsigned char* lines, int64_t, const int32_t* x, const int32_t* sums,
                     Use use) {
  static_assert(R == 1);
  constexpr int kBits = packed_bits(F), kInLine = 8 / kBits;
  if constexpr (F == DType::w8) {
    for (int part = 0; part < kParts; part++) {
      Bytes steps[kSteps];
      load_steps<F>(lines + part * kPackedLine / kParts, steps);
      for (int m = 0; m < M; m++) {
        use(part, m, _mm256_cvtepi32_ps(dot_w8(steps, x + m, M)));
      }
    }
    return;
  }
  __m256i pairs[kParts][M];
  for (int m = 0; m < M; m++) pairs[0][m] = pairs[1][m] = _mm256_setzero_si256();
  const __m256i mask = _mm256_set1_epi8((1 << kBits) - 1);
  for (int i = 0; i < kSteps / kInLine; i++) {
    const auto* line = reinterpret_cast<const __m256i*>(lines + i * kPackedLine);
    for (int j = 0; j < kInLine; j++) {
      const __m256i low = _mm256_srli_epi16(_mm256_load_si256(line), j * kBits);
      const __m256i high = _mm256_srli_epi16(_mm256_load_si256(line + 1), j * kBits);
      for (int m = 0; m < M; m++) {
        add_step(x[(i * kInLine + j) * M + m], _mm256_and_si256(low, mask),
                 _mm256_and_si256(high, mask), &pairs[0][m], &pairs[1][m]);
      }
    }
  }
  for (int m = 0; m < M; m++) {
    const __m256i zeros = _mm256_set1_epi32(packed_zero(F) * sums[m]);
    for (int part = 0; part < kParts; part++) {
      const __m256i widened = _mm256_madd_epi16(pairs[part][m], _mm256_set1_epi16(1));
      use(part, m, _mm256_cvtepi32_ps(_mm256_sub_epi32(widened, zeros)));
    }
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
