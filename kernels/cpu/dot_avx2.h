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

/// totals[part][m] += the int16 sums of steps [First, Last) of w5 or w6, times factors[part]: pairs
/// of int16 for each row.
template <DType F, int First, int Last, int M>
inline void add_plane_steps(const unsigned char* lines, const int32_t* x, const __m256i* factors,
                            __m256i (*totals)[M]) {
  __m256i pairs[kParts][M];
  for (int m = 0; m < M; m++) pairs[0][m] = pairs[1][m] = _mm256_setzero_si256();
#pragma GCC unroll 4
  for (int s = First; s < Last; s++) {
    const __m256i low = load_plane_step<F>(lines, s, 0), high = load_plane_step<F>(lines, s, 1);
    for (int m = 0; m < M; m++) add_step(x[s * M + m], low, high, &pairs[0][m], &pairs[1][m]);
  }
  for (int part = 0; part < kParts; part++) {
    for (int m = 0; m < M; m++) {
      const __m256i scaled = _mm256_madd_epi16(pairs[part][m], factors[part]);
      totals[part][m] = _mm256_add_epi32(totals[part][m], scaled);
    }
  }
}

/// 5 bits: 4 steps fit an int16 lane (4 * 2 * 31 * 127 = 31496).
template <int Zero, int M, typename Use>
inline void each_w5_dot(const unsigned char* lines, RoundedColumns x, Use use) {
  const __m256i ones = _mm256_set1_epi16(1), factors[kParts] = {ones, ones};
  __m256i totals[kParts][M];
  for (int m = 0; m < M; m++) {
    totals[0][m] = totals[1][m] = _mm256_set1_epi32(-Zero * x.sums[m]);
  }
  add_plane_steps<DType::w5, 0, 4, M>(lines, x.integers, factors, totals);
  add_plane_steps<DType::w5, 4, 8, M>(lines, x.integers, factors, totals);
  for (int part = 0; part < kParts; part++) {
#pragma GCC unroll 6
    for (int m = 0; m < M; m++) use(part, m, _mm256_cvtepi32_ps(totals[part][m]));
  }
}

/// 6 bits: 2 steps fit (2 * 2 * 63 * 127 = 32004), and become int32 by the multiplication with
/// their step.
template <DType F, int R, int M, typename Use>
inline void each_stepped_dot(const unsigned char* lines, const int8_t* column_steps, int64_t,
                             RoundedColumns x, Use use) {
  static_assert(R == 1 && F == DType::w6);
  const auto load_column_steps = [&](int half, int part) {
    const int8_t* at = column_steps + half * kPackedRows + part * kPackedRows / kParts;
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(at)));
  };
  __m256i totals[kParts][M];
  __m256i factors[2][kParts];  // a row's step twice, for each half of the columns
  for (int part = 0; part < kParts; part++) {
    const __m256i low = _mm256_set1_epi32(0xffff);
    const __m256i first = load_column_steps(0, part), last = load_column_steps(1, part);
    const __m256i first_low = _mm256_and_si256(first, low), last_low = _mm256_and_si256(last, low);
    const __m256i last_high = _mm256_slli_epi32(last, 16);
    factors[0][part] = _mm256_or_si256(first_low, _mm256_slli_epi32(first, 16));
    factors[1][part] = _mm256_or_si256(last_low, last_high);
    const __m256i both = _mm256_or_si256(first_low, last_high);
    for (int m = 0; m < M; m++) {
      const int rest = x.sums[m] - x.halves[m];
      const __m256i sums = _mm256_set1_epi32((x.halves[m] & 0xffff) | rest * (1 << 16));
      const __m256i zeros = _mm256_slli_epi32(_mm256_madd_epi16(both, sums), 5);
      totals[part][m] = _mm256_sub_epi32(_mm256_setzero_si256(), zeros);
    }
  }
  add_plane_steps<F, 0, 2, M>(lines, x.integers, factors[0], totals);
  add_plane_steps<F, 2, 4, M>(lines, x.integers, factors[0], totals);
  add_plane_steps<F, 4, 6, M>(lines, x.integers, factors[1], totals);
  add_plane_steps<F, 6, 8, M>(lines, x.integers, factors[1], totals);
  for (int part = 0; part < kParts; part++) {
#pragma GCC unroll 6
    for (int m = 0; m < M; m++) use(part, m, _mm256_cvtepi32_ps(totals[part][m]));
  }
}

template <DType F, int Zero, int R, int M, typename Use>
inline void each_dot(const unsigned char* lines, int64_t, RoundedColumns x, Use use) {
  static_assert(R == 1);
  if constexpr (F == DType::w5) {
    each_w5_dot<Zero, M>(lines, x, use);
    return;
  }
  constexpr int kBits = packed_bits(F), kInLine = 8 / kBits;
  constexpr bool kHalves = F == DType::w8;
  const __m256i mask = _mm256_set1_epi8(F == DType::w2 ? 3 : 15);
  for (int half = 0; half < (kHalves ? kParts : 1); half++) {
    const unsigned char* line = lines + half * kPackedLine / kParts;
    __m256i pairs[2][M];
    for (int m = 0; m < M; m++) pairs[0][m] = pairs[1][m] = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (int i = 0; i < kSteps / kInLine; i++, line += kPackedLine) {
#pragma GCC unroll 4
      for (int j = 0; j < kInLine; j++) {
        const auto* at = reinterpret_cast<const __m256i*>(line);
        const __m256i low = _mm256_srli_epi16(_mm256_load_si256(at), j * kBits);
        const __m256i high = kHalves ? _mm256_srli_epi16(low, 4)
                                     : _mm256_srli_epi16(_mm256_load_si256(at + 1), j * kBits);
        for (int m = 0; m < M; m++) {
          add_step(x.integers[(i * kInLine + j) * M + m], _mm256_and_si256(low, mask),
                   _mm256_and_si256(high, mask), &pairs[0][m], &pairs[1][m]);
        }
      }
    }
#pragma GCC unroll 6
    for (int m = 0; m < M; m++) {
      const __m256i zeros = _mm256_set1_epi32(Zero * x.sums[m]);
      if constexpr (kHalves) {
        const __m256i all = _mm256_add_epi32(widened(pairs[0][m], 1), widened(pairs[1][m], 16));
        use(half, m, _mm256_cvtepi32_ps(_mm256_sub_epi32(all, zeros)));
      } else {
#pragma GCC unroll 2
        for (int part = 0; part < kParts; part++) {
          use(part, m, _mm256_cvtepi32_ps(_mm256_sub_epi32(widened(pairs[part][m], 1), zeros)));
        }
      }
    }
  }
}

}  // namespace minicpm::ISA
