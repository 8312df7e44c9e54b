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

template <DType F>
inline void load_steps(const unsigned char* lines, Bytes* steps) {
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

/// dots[v] of V vectors of rows; column step s of the activations is at x[s * stride].
template <DType F, int V>
inline void dot(const Bytes (*steps)[kSteps], const int32_t* x, int64_t stride, int32_t sum,
                Dots* dots) {
  __m512i sums[V];
  for (int v = 0; v < V; v++) sums[v] = _mm512_set1_epi32(-packed_zero(F) * sum);
  for (int s = 0; s < kSteps; s++) {
    __m512i four = _mm512_set1_epi32(x[s * stride]);
    if (V > 1) asm("" : "+v"(four));  // one load, not one for every product
    for (int v = 0; v < V; v++) sums[v] = _mm512_dpbusd_epi32(sums[v], steps[v][s], four);
  }
  for (int v = 0; v < V; v++) dots[v] = _mm512_cvtepi32_ps(sums[v]);
}

template <DType F, int R, int M, typename Use>
inline void each_dot(const unsigned char* lines, int64_t tile_bytes, const int32_t* x,
                     const int32_t* sums, Use use) {
  Bytes steps[R][kSteps];
  for (int r = 0; r < R; r++) load_steps<F>(lines + r * tile_bytes, steps[r]);
  for (int m = 0; m < M; m++) {
    Dots dots[R];
    dot<F, R>(steps, x + m, M, sums[m], dots);
    for (int r = 0; r < R; r++) use(r, m, dots[r]);
  }
}

inline Dots no_dots() {
  return _mm512_setzero_ps();
}

inline Dots load_scales(const F16* scales) {
  return _mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(scales)));
}

inline Dots load_scales(const float* scales) {
  return _mm512_loadu_ps(scales);
}

inline Dots add_scaled(Dots dot, Dots weight_scale, float scale, Dots y) {
  return _mm512_fmadd_ps(dot, _mm512_mul_ps(weight_scale, _mm512_set1_ps(scale)), y);
}

inline void store_dots(float* to, Dots y) {
  _mm512_storeu_ps(to, y);
}

}  // namespace minicpm::ISA
