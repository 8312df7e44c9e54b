// What sets of 256-bit vectors share: a tile's 16 rows are two vectors of 8, and their dot products
// become floats. Included by dot_avx2.h and dot_avxvnni.h only.
#pragma once

#include <immintrin.h>

namespace minicpm::ISA {

constexpr int kParts = 2;
constexpr int kTilesAtOnce = 1;
using Bytes = __m256i;
using Dots = __m256;

inline Dots no_dots() {
  return _mm256_setzero_ps();
}

inline Dots load_scales(const F16* scales) {
  return load8(scales);
}

inline Dots load_scales(const float* scales) {
  return load8(scales);
}

inline Dots load_scales(const int8_t* scales) {
  return load8(scales);
}

inline Dots multiply_scales(Dots a, Dots b) {
  return _mm256_mul_ps(a, b);
}

/// 8 rows of a step of w5 or w6: half a line of nibbles, and the half line where its upper bits
/// are.
template <DType F>
inline Bytes load_plane_step(const unsigned char* lines, int step, int half) {
  const auto* nibbles = reinterpret_cast<const __m256i*>(lines + step / 2 * kPackedLine +
                                                         half * kPackedLine / kParts);
  const auto* plane = reinterpret_cast<const __m256i*>(
      lines + (kNibbleLines + plane_line<F>(step)) * kPackedLine + half * kPackedLine / kParts);
  const int shift = plane_shift<F>(step);
  const __m256i low = _mm256_and_si256(_mm256_srli_epi16(_mm256_load_si256(nibbles), step % 2 * 4),
                                       _mm256_set1_epi8(15));
  const __m256i bits = _mm256_load_si256(plane);
  const __m256i moved =
      shift < 0 ? _mm256_srli_epi16(bits, -shift) : _mm256_slli_epi16(bits, shift);
  return _mm256_or_si256(low, _mm256_and_si256(moved, _mm256_set1_epi8(kPlaneMask<F>)));
}

inline Dots add_scaled(Dots dot, Dots weight_scale, float scale, Dots y) {
  return _mm256_fmadd_ps(dot, _mm256_mul_ps(weight_scale, _mm256_set1_ps(scale)), y);
}

inline Dots subtract_scaled(Dots minimum, float scale, Dots y) {
  return _mm256_fnmadd_ps(minimum, _mm256_set1_ps(scale), y);
}

inline void store_dots(float* to, Dots y) {
  _mm256_storeu_ps(to, y);
}

}  // namespace minicpm::ISA
