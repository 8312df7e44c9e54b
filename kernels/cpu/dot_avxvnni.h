// vpdpbusd in 256 bits: four products of unsigned and signed bytes, added to an int32 lane without
// saturation. The weights are the unsigned u = q + zero, and the sum starts at -zero times the sum
// of the activations. AVX-VNNI encodes it in VEX; AVX512-VNNI with VL has the same instruction in
// EVEX, in which processors without AVX-VNNI test this file (AVXVNNI_EVEX). Included by dot.h only.
#pragma once

#include "kernels/cpu/dot_ymm.h"

#ifdef AVXVNNI_EVEX
#define MINICPM_DPBUSD "%{evex%} vpdpbusd"
#else
#define MINICPM_DPBUSD "%{vex%} vpdpbusd"
#endif

namespace minicpm::ISA {

/// The lower `bits` of each byte shifted right by `shift`: one step of 8 rows out of half a line.
inline Bytes load_step(const unsigned char* half_line, int shift, int bits) {
  const __m256i line = _mm256_load_si256(reinterpret_cast<const __m256i*>(half_line));
  if (bits == 8) return line;
  const auto mask = static_cast<char>((1 << bits) - 1);
  return _mm256_and_si256(_mm256_srli_epi16(line, shift), _mm256_set1_epi8(mask));
}

/// Adds a step of both halves of a tile, times one broadcast of activations. With 12 accumulators
/// and 2 vectors of weights this takes 15 registers; the assembly keeps the compiler from
/// reordering the steps, which would spill them.
inline void add_step(const int32_t& x, __m256i low, __m256i high, __m256i* low_sums,
                     __m256i* high_sums) {
  __m256i four;
  asm volatile("vpbroadcastd %3, %0\n\t" MINICPM_DPBUSD " %0, %4, %1\n\t" MINICPM_DPBUSD
               " %0, %5, %2"
               : "=&x"(four), "+x"(*low_sums), "+x"(*high_sums)
               : "m"(x), "x"(low), "x"(high));
}

/// Adds steps [First, Last) of w5 or w6, both halves of a tile, times M rows of activations.
template <DType F, int First, int Last, int M>
inline void add_plane_steps(const unsigned char* lines, const int32_t* x, __m256i (*dots)[M]) {
#pragma GCC unroll 8
  for (int s = First; s < Last; s++) {
    const __m256i low = load_plane_step<F>(lines, s, 0), high = load_plane_step<F>(lines, s, 1);
    for (int m = 0; m < M; m++) add_step(x[s * M + m], low, high, &dots[0][m], &dots[1][m]);
  }
}

/// All steps of the other formats.
template <DType F, int M>
inline void add_steps(const unsigned char* lines, const int32_t* x, __m256i (*dots)[M]) {
  constexpr int kBits = packed_bits(F), kInLine = 8 / kBits;
#pragma GCC unroll 8
  for (int i = 0; i < kSteps / kInLine; i++, lines += kPackedLine) {
#pragma GCC unroll 4
    for (int j = 0; j < kInLine; j++) {
      const __m256i low = load_step(lines, j * kBits, kBits);
      const __m256i high = load_step(lines + kPackedLine / kParts, j * kBits, kBits);
      const int32_t* step = x + (i * kInLine + j) * M;
      for (int m = 0; m < M; m++) add_step(step[m], low, high, &dots[0][m], &dots[1][m]);
    }
  }
}

template <DType F, int Zero, int R, int M, typename Use>
inline void each_dot(const unsigned char* lines, int64_t, RoundedColumns x, Use use) {
  static_assert(R == 1);
  __m256i dots[kParts][M];
  for (int m = 0; m < M; m++) dots[0][m] = dots[1][m] = _mm256_set1_epi32(-Zero * x.sums[m]);
  if constexpr (has_planes(F)) {
    add_plane_steps<F, 0, kSteps, M>(lines, x.integers, dots);
  } else {
    add_steps<F, M>(lines, x.integers, dots);
  }
#pragma GCC unroll 6
  for (int m = 0; m < M; m++) {
#pragma GCC unroll 2
    for (int part = 0; part < kParts; part++) use(part, m, _mm256_cvtepi32_ps(dots[part][m]));
  }
}

/// A half's dot product times its step is below 2^23: floats are exact.
template <DType F, int R, int M, typename Use>
inline void each_stepped_dot(const unsigned char* lines, const int8_t* column_steps, int64_t,
                             RoundedColumns x, Use use) {
  static_assert(R == 1);
  constexpr int kZero = packed_zero(F), kHalf = kSteps / 2;
  __m256i first[kParts][M], last[kParts][M];
  for (int m = 0; m < M; m++) {
    first[0][m] = first[1][m] = _mm256_set1_epi32(-kZero * x.halves[m]);
    last[0][m] = last[1][m] = _mm256_set1_epi32(-kZero * (x.sums[m] - x.halves[m]));
  }
  add_plane_steps<F, 0, kHalf, M>(lines, x.integers, first);
  add_plane_steps<F, kHalf, kSteps, M>(lines, x.integers, last);
  for (int part = 0; part < kParts; part++) {
    const Dots first_steps = load_scales(column_steps + part * kPackedRows / kParts);
    const Dots last_steps = load_scales(column_steps + kPackedRows + part * kPackedRows / kParts);
#pragma GCC unroll 6
    for (int m = 0; m < M; m++) {
      const Dots scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(first[part][m]), first_steps);
      use(part, m, _mm256_fmadd_ps(_mm256_cvtepi32_ps(last[part][m]), last_steps, scaled));
    }
  }
}

#undef MINICPM_DPBUSD

}  // namespace minicpm::ISA
