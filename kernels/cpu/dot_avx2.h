// vpmaddubsw adds two products of unsigned and signed bytes in int16, which must not saturate: 4
// bits of the unsigned weights at a time, of which 8 steps fit an int16 lane (8 * 2 * 15 * 127 =
// 30480) and are widened once. w8 is two such halves, the upper one times 16; both halves of a
// tile's rows or both of a weight are one pair of sums, so that every format runs the same inner
// loop. Included by dot.h only.
#pragma once

#include "kernels/cpu/dot_ymm.h"

namespace minicpm::ISA {

/// Adds a step of two vectors of weights, times one broadcast of activations, in int16 lanes. With
/// 12 accumulators and 2 vectors of weights this takes all 16 registers; the assembly keeps the
/// compiler from reordering the steps, which would spill them.
inline void add_step(const int32_t& x, __m256i first, __m256i second, __m256i* first_pairs,
                     __m256i* second_pairs) {
  __m256i four, products;
  asm volatile(
      "vpbroadcastd %4, %0\n\t"
      "vpmaddubsw %0, %5, %1\n\t"
      "vpmaddubsw %0, %6, %0\n\t"
      "vpaddw %1, %2, %2\n\t"
      "vpaddw %0, %3, %3"
      : "=&x"(four), "=&x"(products), "+x"(*first_pairs), "+x"(*second_pairs)
      : "m"(x), "x"(first), "x"(second));
}

/// The pairs of int16, times `factor`, as int32.
inline __m256i widened(__m256i pairs, int16_t factor) {
  return _mm256_madd_epi16(pairs, _mm256_set1_epi16(factor));
}

template <DType F, int R, int M, typename Use>
inline void each_dot(const unsigned char* lines, int64_t, const int32_t* x, const int32_t* sums,
                     Use use) {
  static_assert(R == 1);
  constexpr int kBits = packed_bits(F), kInLine = 8 / kBits;
  constexpr bool kHalves = F == DType::w8;
  const __m256i mask = _mm256_set1_epi8(F == DType::w2 ? 3 : 15);
  for (int half = 0; half < (kHalves ? kParts : 1); half++) {
    const unsigned char* line = lines + half * kPackedLine / kParts;
    __m256i pairs[2][M];
    for (int m = 0; m < M; m++) pairs[0][m] = pairs[1][m] = _mm256_setzero_si256();
    for (int i = 0; i < kSteps / kInLine; i++, line += kPackedLine) {
      for (int j = 0; j < kInLine; j++) {
        const auto* at = reinterpret_cast<const __m256i*>(line);
        const __m256i low = _mm256_srli_epi16(_mm256_load_si256(at), j * kBits);
        const __m256i high = kHalves ? _mm256_srli_epi16(low, 4)
                                     : _mm256_srli_epi16(_mm256_load_si256(at + 1), j * kBits);
        for (int m = 0; m < M; m++) {
          add_step(x[(i * kInLine + j) * M + m], _mm256_and_si256(low, mask),
                   _mm256_and_si256(high, mask), &pairs[0][m], &pairs[1][m]);
        }
      }
    }
    for (int m = 0; m < M; m++) {
      const __m256i zeros = _mm256_set1_epi32(packed_zero(F) * sums[m]);
      if constexpr (kHalves) {
        const __m256i all = _mm256_add_epi32(widened(pairs[0][m], 1), widened(pairs[1][m], 16));
        use(half, m, _mm256_cvtepi32_ps(_mm256_sub_epi32(all, zeros)));
      } else {
        for (int part = 0; part < kParts; part++) {
          use(part, m, _mm256_cvtepi32_ps(_mm256_sub_epi32(widened(pairs[part][m], 1), zeros)));
        }
      }
    }
  }
}

}  // namespace minicpm::ISA
