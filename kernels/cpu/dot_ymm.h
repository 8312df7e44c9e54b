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

inline Dots add_scaled(Dots dot, Dots weight_scale, float scale, Dots y) {
  return _mm256_fmadd_ps(dot, _mm256_mul_ps(weight_scale, _mm256_set1_ps(scale)), y);
}

inline void store_dots(float* to, Dots y) {
  _mm256_storeu_ps(to, y);
}

}  // namespace minicpm::ISA
