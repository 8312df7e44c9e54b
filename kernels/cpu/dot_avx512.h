// vpdpbusd: four products of unsigned and signed bytes, added to an int32 lane without saturation.
// The weights are the unsigned u = q + zero, and the sum starts at -zero times the sum of the
// activations. Included by dot.h only.
#pragma once

#include <immintrin.h>

namespace minicpm::ISA {

constexpr int kParts = 1;
constexpr int kTilesAtOnce = 2;
using Bytes = __m512i;
using Dots = __m512;

inline Dots no_dots() {
  return _mm512_setzero_ps();
}

inline Dots load_scales(const F16* scales) {
  return _mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(scales)));
}

inline Dots load_scales(const float* scales) {
  return _mm512_loadu_ps(scales);
}

inline Dots load_scales(const int8_t* scales) {
  return load(scales).v;
}

inline Dots multiply_scales(Dots a, Dots b) {
  return _mm512_mul_ps(a, b);
}

/// Unpacks 32 columns of tile `r` of R.
template <DType F, int R>
inline void load_steps(const unsigned char* lines, int r, Bytes (&steps)[kSteps][R]) {
  if constexpr (has_planes(F)) {
    load_steps<DType::w4>(lines, r, steps);
    const __m512i mask = _mm512_set1_epi8(kPlaneMask<F>);
    for (int s = 0; s < kSteps; s++) {
      const __m512i bits =
          _mm512_load_si512(lines + (kNibbleLines + plane_line<F>(s)) * kPackedLine);
      const int shift = plane_shift<F>(s);
      const __m512i moved = shift < 0 ? _mm512_srli_epi16(bits, static_cast<unsigned>(-shift))
                                      : _mm512_slli_epi16(bits, static_cast<unsigned>(shift));
      // steps[s][r] | (moved & mask)
      steps[s][r] = _mm512_ternarylogic_epi32(steps[s][r], moved, mask, 0xf8);
    }
    return;
  }
  constexpr int kBits = packed_bits(F), kInLine = 8 / kBits;
  for (int i = 0; i < kSteps / kInLine; i++) {
    const __m512i line = _mm512_load_si512(lines + i * kPackedLine);
    for (int j = 0; j < kInLine; j++) {
      const __m512i shifted =
          j == 0 ? line : _mm512_srli_epi16(line, static_cast<unsigned>(j * kBits));
      steps[i * kInLine + j][r] =
          F == DType::w8 ? shifted : _mm512_and_si512(shifted, _mm512_set1_epi8((1 << kBits) - 1));
    }
  }
}

/// dots[r][m] of steps [First, Last) of R tiles and M rows of activations; sums start at starts[m].
/// It goes step by step: a sum waits for its last product, so all of them grow side by side.
template <int First, int Last, int R, int M>
inline void dot(const Bytes (&steps)[kSteps][R], const int32_t* x, const int32_t* starts,
                Dots (&dots)[R][M]) {
  __m512i sums[R][M];
  for (int m = 0; m < M; m++) {
    for (int r = 0; r < R; r++) sums[r][m] = _mm512_set1_epi32(starts[m]);
  }
#pragma GCC unroll 8
  for (int s = First; s < Last; s++) {
    Bytes weights[R];
    for (int r = 0; r < R; r++) weights[r] = steps[s][r];
#pragma GCC unroll 8
    for (int m = 0; m < M; m++) {
      __m512i four = _mm512_set1_epi32(x[s * M + m]);
      if (R > 1) asm("" : "+v"(four));  // one load, not one for every product
      for (int r = 0; r < R; r++) sums[r][m] = _mm512_dpbusd_epi32(sums[r][m], weights[r], four);
    }
  }
  for (int r = 0; r < R; r++) {
    for (int m = 0; m < M; m++) dots[r][m] = _mm512_cvtepi32_ps(sums[r][m]);
  }
}

template <DType F, int Zero, int R, int M, typename Use>
inline void each_dot(const unsigned char* lines, int64_t tile_bytes, RoundedColumns x, Use use) {
  Bytes steps[kSteps][R];
  for (int r = 0; r < R; r++) load_steps<F>(lines + r * tile_bytes, r, steps);
  int32_t starts[M];
  for (int m = 0; m < M; m++) starts[m] = -Zero * x.sums[m];
  Dots dots[R][M];
  dot<0, kSteps>(steps, x.integers, starts, dots);
  for (int r = 0; r < R; r++) {
    for (int m = 0; m < M; m++) use(r, m, dots[r][m]);
  }
}

template <int Zero, int M, typename Use>
inline void each_gathered_dot(const unsigned char* const* pieces, RoundedColumns x, Use use) {
  Bytes steps[kSteps][1];
  for (int s = 0; s < kSteps; s += 4) {
    __m512i p[4];  // steps s to s + 3 of 4 rows
    for (int i = 0; i < 4; i++) p[i] = _mm512_loadu_si512(pieces[i] + s * kPackedLine / 4);
    const __m512i first = _mm512_shuffle_i32x4(p[0], p[1], 0x44);
    const __m512i second = _mm512_shuffle_i32x4(p[0], p[1], 0xee);
    const __m512i third = _mm512_shuffle_i32x4(p[2], p[3], 0x44);
    const __m512i fourth = _mm512_shuffle_i32x4(p[2], p[3], 0xee);
    steps[s][0] = _mm512_shuffle_i32x4(first, third, 0x88);
    steps[s + 1][0] = _mm512_shuffle_i32x4(first, third, 0xdd);
    steps[s + 2][0] = _mm512_shuffle_i32x4(second, fourth, 0x88);
    steps[s + 3][0] = _mm512_shuffle_i32x4(second, fourth, 0xdd);
  }
  int32_t starts[M];
  for (int m = 0; m < M; m++) starts[m] = -Zero * x.sums[m];
  Dots dots[1][M];
  dot<0, kSteps>(steps, x.integers, starts, dots);
  for (int m = 0; m < M; m++) use(0, m, dots[0][m]);
}

/// A half's dot product times its step and the other half's.
inline Dots add_stepped(Dots first, Dots first_step, Dots last, Dots last_step) {
  return _mm512_fmadd_ps(last, last_step, _mm512_mul_ps(first, first_step));
}

/// A half's dot product times its step is below 2^23, so that floats are exact, and faster than
/// multiplications in int32.
template <DType F, int R, int M, typename Use>
inline void each_stepped_dot(const unsigned char* lines, const int8_t* column_steps,
                             int64_t tile_bytes, RoundedColumns x, Use use) {
  constexpr int kZero = packed_zero(F), kHalf = kSteps / 2;
  Bytes steps[kSteps][R];
  for (int r = 0; r < R; r++) load_steps<F>(lines + r * tile_bytes, r, steps);
  int32_t starts[2][M];
  for (int m = 0; m < M; m++) {
    starts[0][m] = -kZero * x.halves[m];
    starts[1][m] = -kZero * (x.sums[m] - x.halves[m]);
  }
  Dots first[R][M], last[R][M];
  dot<0, kHalf>(steps, x.integers, starts[0], first);
  dot<kHalf, kSteps>(steps, x.integers, starts[1], last);
  for (int r = 0; r < R; r++) {
    const int8_t* at = column_steps + r * tile_bytes;
    const Dots first_step = load_scales(at), last_step = load_scales(at + kPackedRows);
    for (int m = 0; m < M; m++) {
      use(r, m, add_stepped(first[r][m], first_step, last[r][m], last_step));
    }
  }
}

inline Dots add_scaled(Dots dot, Dots weight_scale, float scale, Dots y) {
  return _mm512_fmadd_ps(dot, _mm512_mul_ps(weight_scale, _mm512_set1_ps(scale)), y);
}

inline Dots subtract_scaled(Dots minimum, float scale, Dots y) {
  return _mm512_fnmadd_ps(minimum, _mm512_set1_ps(scale), y);
}

inline void store_dots(float* to, Dots y) {
  _mm512_storeu_ps(to, y);
}

}  // namespace minicpm::ISA
