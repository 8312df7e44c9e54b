// f32x16 for AVX-512: one zmm register. Included by simd.h only.
#pragma once

#include <immintrin.h>

namespace minicpm::ISA {

struct f32x16 {
  __m512 v;
};

inline f32x16 broadcast(float x) {
  return {_mm512_set1_ps(x)};
}

inline f32x16 load(const float* p) {
  return {_mm512_loadu_ps(p)};
}
inline f32x16 load(const F16* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
inline f32x16 load(const Bf16* p) {
  const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16))};
}
inline f32x16 load(const int8_t* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes))};
}

inline void store(float* p, f32x16 x) {
  _mm512_storeu_ps(p, x.v);
}
inline void store(F16* p, f32x16 x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                      _mm512_cvtps_ph(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

inline f32x16 operator+(f32x16 a, f32x16 b) {
  return {_mm512_add_ps(a.v, b.v)};
}
inline f32x16 operator-(f32x16 a, f32x16 b) {
  return {_mm512_sub_ps(a.v, b.v)};
}
inline f32x16 operator*(f32x16 a, f32x16 b) {
  return {_mm512_mul_ps(a.v, b.v)};
}
inline f32x16 operator/(f32x16 a, f32x16 b) {
  return {_mm512_div_ps(a.v, b.v)};
}

/// Of a's and b's quarters of 4 lanes each: a0 + a2, a1 + a3, b0 + b2, b1 + b3.
inline f32x16 add_halves(f32x16 a, f32x16 b) {
  return {
      _mm512_add_ps(_mm512_shuffle_f32x4(a.v, b.v, 0x44), _mm512_shuffle_f32x4(a.v, b.v, 0xee))};
}
/// And a0 + a1, a2 + a3, b0 + b1, b2 + b3.
inline f32x16 add_quarters(f32x16 a, f32x16 b) {
  return {
      _mm512_add_ps(_mm512_shuffle_f32x4(a.v, b.v, 0x88), _mm512_shuffle_f32x4(a.v, b.v, 0xdd))};
}

/// a * b + c, rounded once.
inline f32x16 fma(f32x16 a, f32x16 b, f32x16 c) {
  return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}

/// a > b ? a : b.
inline f32x16 max(f32x16 a, f32x16 b) {
  return {_mm512_max_ps(a.v, b.v)};
}

/// a < b ? yes : no.
inline f32x16 select_less(f32x16 a, f32x16 b, f32x16 yes, f32x16 no) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), no.v, yes.v)};
}

/// p * 2^n, n in the low bits of `shifted`; no care for overflow.
inline f32x16 add_to_exponent(f32x16 p, f32x16 shifted) {
  const __m512i n = _mm512_slli_epi32(_mm512_castps_si512(shifted.v), 23);
  return {_mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p.v), n))};
}

/// Joins lanes i and i + 8, then i and i + 4, then i and i + 2, then the last two. `join` takes
/// vectors of the compiler's, whose operators work lane by lane.
template <typename Join>
inline float fold(f32x16 x, Join join) {
  typedef float Half __attribute__((vector_size(32)));
  typedef float Quarter __attribute__((vector_size(16)));
  const Half half = join(static_cast<Half>(_mm512_castps512_ps256(x.v)),
                         static_cast<Half>(_mm512_extractf32x8_ps(x.v, 1)));
  const __m256 h = static_cast<__m256>(half);
  const Quarter quarter = join(static_cast<Quarter>(_mm256_castps256_ps128(h)),
                               static_cast<Quarter>(_mm256_extractf128_ps(h, 1)));
  const __m128 q = static_cast<__m128>(quarter);
  const Quarter pair = join(quarter, static_cast<Quarter>(_mm_movehl_ps(q, q)));
  return join(pair[0], pair[1]);
}

/// Sixteen sums at once by the tree of `fold`: each step adds halves of two vectors and puts the
/// results side by side.
inline f32x16 sum_each(const f32x16* x) {
  __m512 by8[8], by4[4], by2[2];
  for (int i = 0; i < 8; i++) {
    by8[i] = _mm512_add_ps(_mm512_shuffle_f32x4(x[i].v, x[i + 8].v, 0x44),
                           _mm512_shuffle_f32x4(x[i].v, x[i + 8].v, 0xee));
  }
  for (int i = 0; i < 4; i++) {
    by4[i] = _mm512_add_ps(_mm512_shuffle_f32x4(by8[i], by8[i + 4], 0x88),
                           _mm512_shuffle_f32x4(by8[i], by8[i + 4], 0xdd));
  }
  for (int i = 0; i < 2; i++) {
    by2[i] = _mm512_add_ps(_mm512_shuffle_ps(by4[i], by4[i + 2], 0x44),
                           _mm512_shuffle_ps(by4[i], by4[i + 2], 0xee));
  }
  const __m512 sums = _mm512_add_ps(_mm512_shuffle_ps(by2[0], by2[1], 0x88),
                                    _mm512_shuffle_ps(by2[0], by2[1], 0xdd));
  // Quads are of x[0..], x[8..], x[4..], x[12..], in each the sums 0, 2, 1, 3.
  const __m512i order = _mm512_setr_epi32(0, 2, 1, 3, 8, 10, 9, 11, 4, 6, 5, 7, 12, 14, 13, 15);
  return {_mm512_permutexvar_ps(order, sums)};
}

using Wide = f32x16;
constexpr int kWideLanes = 16;

template <typename T>
inline Wide load_wide(const T* p) {
  return load(p);
}
/// Keeps gcc from loading x again for every use.
inline Wide in_register(Wide x) {
  asm("" : "+v"(x.v));
  return x;
}
inline Wide broadcast_wide(float x) {
  return broadcast(x);
}
inline Wide multiply_add(Wide a, Wide b, Wide c) {
  return fma(a, b, c);
}

/// The sums over the lanes of four vectors, to y[0..3].
inline void sum4(Wide a, Wide b, Wide c, Wide d, float* y) {
  const auto fold = [](Wide x) {
    return _mm256_add_ps(_mm512_castps512_ps256(x.v), _mm512_extractf32x8_ps(x.v, 1));
  };
  const __m256 ab = _mm256_hadd_ps(fold(a), fold(b)), cd = _mm256_hadd_ps(fold(c), fold(d));
  const __m256 abcd = _mm256_hadd_ps(ab, cd);
  _mm_storeu_ps(y, _mm_add_ps(_mm256_castps256_ps128(abcd), _mm256_extractf128_ps(abcd, 1)));
}

}  // namespace minicpm::ISA
