// f32x16 for AVX2, FMA and F16C: two ymm registers. Included by simd.h only.
#pragma once

#include <immintrin.h>

namespace minicpm::ISA {

struct f32x16 {
  __m256 low, high;
};

inline __m256 load8(const float* p) {
  return _mm256_loadu_ps(p);
}
inline __m256 load8(const F16* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline __m256 load8(const Bf16* p) {
  const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}
inline __m256 load8(const int8_t* p) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
}

inline f32x16 broadcast(float x) {
  return {_mm256_set1_ps(x), _mm256_set1_ps(x)};
}

template <typename T>
inline f32x16 load(const T* p) {
  return {load8(p), load8(p + 8)};
}

inline void store(float* p, f32x16 x) {
  _mm256_storeu_ps(p, x.low);
  _mm256_storeu_ps(p + 8, x.high);
}
inline void store(F16* p, f32x16 x) {
  constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(x.low, kNearest));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8), _mm256_cvtps_ph(x.high, kNearest));
}

inline f32x16 operator+(f32x16 a, f32x16 b) {
  return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}
inline f32x16 operator-(f32x16 a, f32x16 b) {
  return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}
inline f32x16 operator*(f32x16 a, f32x16 b) {
  return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}
inline f32x16 operator/(f32x16 a, f32x16 b) {
  return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}

inline f32x16 add_halves(f32x16 a, f32x16 b) {
  return {_mm256_add_ps(a.low, a.high), _mm256_add_ps(b.low, b.high)};
}
inline f32x16 add_quarters(f32x16 a, f32x16 b) {
  const auto add = [](__m256 low, __m256 high) {
    return _mm256_add_ps(_mm256_permute2f128_ps(low, high, 0x20),
                         _mm256_permute2f128_ps(low, high, 0x31));
  };
  return {add(a.low, a.high), add(b.low, b.high)};
}

/// a * b + c, rounded once.
inline f32x16 fma(f32x16 a, f32x16 b, f32x16 c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}

/// a > b ? a : b.
inline f32x16 max(f32x16 a, f32x16 b) {
  return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}

/// a < b ? yes : no.
inline f32x16 select_less(f32x16 a, f32x16 b, f32x16 yes, f32x16 no) {
  return {_mm256_blendv_ps(no.low, yes.low, _mm256_cmp_ps(a.low, b.low, _CMP_LT_OQ)),
          _mm256_blendv_ps(no.high, yes.high, _mm256_cmp_ps(a.high, b.high, _CMP_LT_OQ))};
}

/// p * 2^n, n in the low bits of `shifted`; no care for overflow.
inline f32x16 add_to_exponent(f32x16 p, f32x16 shifted) {
  const auto add = [](__m256 x, __m256 n) {
    return _mm256_castsi256_ps(
        _mm256_add_epi32(_mm256_castps_si256(x), _mm256_slli_epi32(_mm256_castps_si256(n), 23)));
  };
  return {add(p.low, shifted.low), add(p.high, shifted.high)};
}

/// Joins lanes i and i + 8, then i and i + 4, then i and i + 2, then the last two. `join` takes
/// vectors of the compiler's, whose operators work lane by lane.
template <typename Join>
inline float fold(f32x16 x, Join join) {
  typedef float Half __attribute__((vector_size(32)));
  typedef float Quarter __attribute__((vector_size(16)));
  const Half half = join(static_cast<Half>(x.low), static_cast<Half>(x.high));
  const __m256 h = static_cast<__m256>(half);
  const Quarter quarter = join(static_cast<Quarter>(_mm256_castps256_ps128(h)),
                               static_cast<Quarter>(_mm256_extractf128_ps(h, 1)));
  const __m128 q = static_cast<__m128>(quarter);
  const Quarter pair = join(quarter, static_cast<Quarter>(_mm_movehl_ps(q, q)));
  return join(pair[0], pair[1]);
}

struct Wide {
  __m256 v;
};
constexpr int kWideLanes = 8;

template <typename T>
inline Wide load_wide(const T* p) {
  return {load8(p)};
}
inline Wide broadcast_wide(float x) {
  return {_mm256_set1_ps(x)};
}
/// Keeps gcc from loading x again for every use: two loads a cycle are as dear as two FMAs.
inline Wide in_register(Wide x) {
  asm("" : "+x"(x.v));
  return x;
}
inline void store(float* p, Wide x) {
  _mm256_storeu_ps(p, x.v);
}
inline Wide multiply_add(Wide a, Wide b, Wide c) {
  return {_mm256_fmadd_ps(a.v, b.v, c.v)};
}

/// The sums over the lanes of four vectors, to y[0..3].
inline void sum4(Wide a, Wide b, Wide c, Wide d, float* y) {
  const __m256 ab = _mm256_hadd_ps(a.v, b.v), cd = _mm256_hadd_ps(c.v, d.v);
  const __m256 abcd = _mm256_hadd_ps(ab, cd);
  _mm_storeu_ps(y, _mm_add_ps(_mm256_castps256_ps128(abcd), _mm256_extractf128_ps(abcd, 1)));
}

}  // namespace minicpm::ISA
