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

template <DType F>
inline void load_steps(const unsigned char* lines, Bytes* steps) {
  if constexpr (has_planes(F)) {
    load_steps<DType::w4>(lines, steps);
    const __m512i mask = _mm512_set1_epi8(kPlaneMask<F>);
    for (int s = 0; s < kSteps; s++) {
      const __m512i bits =
          _mm512_load_si512(lines + (kNibbleLines + plane_line<F>(s)) * kPackedLine);
      const int shift = plane_shift<F>(s);
      const __m512i moved = shift < 0 ? _mm512_srli_epi16(bits, static_cast<unsigned>(-shift))
                                      : _mm512_slli_epi16(bits, static_cast<unsigned>(shift));
      // steps[s] | (moved & mask)
      steps[s] = _mm512_ternarylogic_epi32(steps[s], moved, mask, 0xf8);
    }
    return;
  }
  constexpr int kBits = packed_bits(F), kInLine = 8 / kBits;
  for (int i = 0; i < kSteps / kInLine; i++) {
    const __m512i line = _mm512_load_si512(lines + i * kPackedLine);
    for (int j = 0; j < kInLine; j++) {
      const __m512i shifted =
          j == 0 ? line : _mm512_srli_epi16(line, static_cast<unsigned>(j * kBits));
      steps[i * kInLine + j] =
          F == DType::w8 ? shifted : _mm512_and_si512(shifted, _mm512_set1_epi8((1 << kBits) - 1));
    }
  }
}

/// dots[v] of steps [First, Last) of V vectors of rows; column step s of the activations is at
/// x[s * stride], and they add up to `sum`.
template <int Zero, int First, int Last, int V>
inline void dot(const Bytes (*steps)[kSteps], const int32_t* x, int64_t stride, int32_t sum,
                Dots* dots) {
  __m512i sums[V];
  for (int v = 0; v < V; v++) sums[v] = _mm512_set1_epi32(-Zero * sum);
  for (int s = First; s < Last; s++) {
    __m512i four = _mm512_set1_epi32(x[s * stride]);
    if (V > 1) asm("" : "+v"(four));  // one load, not one for every product
    for (int v = 0; v < V; v++) sums[v] = _mm512_dpbusd_epi32(sums[v], steps[v][s], four);
  }
  for (int v = 0; v < V; v++) dots[v] = _mm512_cvtepi32_ps(sums[v]);
}

template <DType F, int Zero, int R, int M, typename Use>
inline void each_dot(const unsigned char* lines, int64_t tile_bytes, RoundedColumns x, Use use) {
  Bytes steps[R][kSteps];
  for (int r = 0; r < R; r++) load_steps<F>(lines + r * tile_bytes, steps[r]);
  for (int m = 0; m < M; m++) {
    Dots dots[R];
    dot<Zero, 0, kSteps, R>(steps, x.integers + m, M, x.sums[m], dots);
    for (int r = 0; r < R; r++) use(r, m, dots[r]);
  }
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
  Bytes steps[R][kSteps];
  Dots first_steps[R], last_steps[R];
  for (int r = 0; r < R; r++) {
    load_steps<F>(lines + r * tile_bytes, steps[r]);
    first_steps[r] = load_scales(column_steps + r * tile_bytes);
    last_steps[r] = load_scales(column_steps + r * tile_bytes + kPackedRows);
  }
  for (int m = 0; m < M; m++) {
    Dots first[R], last[R];
    dot<kZero, 0, kHalf, R>(steps, x.integers + m, M, x.halves[m], first);
    dot<kZero, kHalf, kSteps, R>(steps, x.integers + m, M, x.sums[m] - x.halves[m], last);
    for (int r = 0; r < R; r++) {
      use(r, m, add_stepped(first[r], first_steps[r], last[r], last_steps[r]));
    }
  }
}

/// dots[r][m] of steps [First, Last) of two tiles as they lie unpacked; sums start at starts[m].
template <int First, int Last, int M>
inline void dot_unpacked(const Bytes (&steps)[kSteps][2], const int32_t* x, const int32_t* starts,
                         Dots (&dots)[2][M]) {
  __m512i sums[2][M];
  for (int m = 0; m < M; m++) sums[0][m] = sums[1][m] = _mm512_set1_epi32(starts[m]);
#pragma GCC unroll 8
  for (int s = First; s < Last; s++) {
    const __m512i first = steps[s][0], second = steps[s][1];
#pragma GCC unroll 6
    for (int m = 0; m < M; m++) {
      __m512i four = _mm512_set1_epi32(x[s * M + m]);
      asm("" : "+v"(four));  // one load, not one for every product
      sums[0][m] = _mm512_dpbusd_epi32(sums[0][m], first, four);
      sums[1][m] = _mm512_dpbusd_epi32(sums[1][m], second, four);
    }
  }
  for (int m = 0; m < M; m++) {
    dots[0][m] = _mm512_cvtepi32_ps(sums[0][m]);
    dots[1][m] = _mm512_cvtepi32_ps(sums[1][m]);
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
