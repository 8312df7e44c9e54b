// f32x16 where nothing is known of the processor: four groups of four floats in the compiler's own
// vectors, which become SSE2 on x86-64. Included by simd.h only.
#pragma once

namespace minicpm::ISA {

typedef float f32x4 __attribute__((vector_size(16)));
typedef uint32_t u32x4 __attribute__((vector_size(16)));
typedef double f64x4 __attribute__((vector_size(32)));
typedef int64_t i64x4 __attribute__((vector_size(32)));

struct f32x16 {
  f32x4 part[4];
};

inline f32x4 load4(const float* p) {
  f32x4 x;
  __builtin_memcpy(&x, p, sizeof x);
  return x;
}
inline f32x4 load4(const F16* p) {
  return f32x4{f16_to_f32(p[0].bits), f16_to_f32(p[1].bits), f16_to_f32(p[2].bits),
               f16_to_f32(p[3].bits)};
}
inline f32x4 load4(const Bf16* p) {
  return f32x4{bf16_to_f32(p[0].bits), bf16_to_f32(p[1].bits), bf16_to_f32(p[2].bits),
               bf16_to_f32(p[3].bits)};
}

/// a * b + c, rounded once, without an instruction for it. The product is exact in double; the sum
/// is rounded to odd (Boldo & Melquiond 2008), so that rounding it to float a second time cannot go
/// wrong.
inline f32x4 fma4(f32x4 a, f32x4 b, f32x4 c) {
  const f64x4 product = __builtin_convertvector(a, f64x4) * __builtin_convertvector(b, f64x4);
  const f64x4 addend = __builtin_convertvector(c, f64x4);
  f64x4 result = product + addend;
  const f64x4 added = result - product;
  const f64x4 error = (product - (result - added)) + (addend - added);
  // To odd: cut off towards zero, then set the last bit, where something is lost (never with NaN or
  // infinity).
  const i64x4 down = error < 0;
  const i64x4 inexact = down | (error > 0);
  i64x4 bits = reinterpret_cast<i64x4>(result);
  bits += inexact & (down ^ (result < 0));  // adds -1 where the sum was rounded away from zero
  bits |= inexact & i64x4{1, 1, 1, 1};
  result = reinterpret_cast<f64x4>(bits);
  return __builtin_convertvector(result, f32x4);
}

/// f on each of the four groups.
template <typename F>
inline f32x16 on_parts(F f) {
  return {{f(0), f(1), f(2), f(3)}};
}

inline f32x16 broadcast(float x) {
  return on_parts([&](int) { return f32x4{x, x, x, x}; });
}

template <typename T>
inline f32x16 load(const T* p) {
  return on_parts([&](int i) { return load4(p + 4 * i); });
}

inline void store(float* p, f32x16 x) {
  __builtin_memcpy(p, &x, sizeof x);
}
inline void store(F16* p, f32x16 x) {
  for (int i = 0; i < kLanes; i++) p[i].bits = f32_to_f16(x.part[i / 4][i % 4]);
}

inline f32x16 operator+(f32x16 a, f32x16 b) {
  return on_parts([&](int i) { return a.part[i] + b.part[i]; });
}
inline f32x16 operator-(f32x16 a, f32x16 b) {
  return on_parts([&](int i) { return a.part[i] - b.part[i]; });
}
inline f32x16 operator*(f32x16 a, f32x16 b) {
  return on_parts([&](int i) { return a.part[i] * b.part[i]; });
}
inline f32x16 operator/(f32x16 a, f32x16 b) {
  return on_parts([&](int i) { return a.part[i] / b.part[i]; });
}

inline f32x16 fma(f32x16 a, f32x16 b, f32x16 c) {
  return on_parts([&](int i) { return fma4(a.part[i], b.part[i], c.part[i]); });
}

/// a > b ? a : b.
inline f32x16 max(f32x16 a, f32x16 b) {
  return on_parts([&](int i) { return a.part[i] > b.part[i] ? a.part[i] : b.part[i]; });
}

/// a < b ? yes : no.
inline f32x16 select_less(f32x16 a, f32x16 b, f32x16 yes, f32x16 no) {
  return on_parts([&](int i) { return a.part[i] < b.part[i] ? yes.part[i] : no.part[i]; });
}

/// p * 2^n, n in the low bits of `shifted`; no care for overflow.
inline f32x16 add_to_exponent(f32x16 p, f32x16 shifted) {
  return on_parts([&](int i) { return f32x4(u32x4(p.part[i]) + (u32x4(shifted.part[i]) << 23)); });
}

/// Joins lanes i and i + 8, then i and i + 4, then i and i + 2, then the last two.
template <typename Join>
inline float fold(f32x16 x, Join join) {
  const f32x4 low = join(x.part[0], x.part[2]), high = join(x.part[1], x.part[3]);
  const f32x4 quarter = join(low, high);
  return join(join(quarter[0], quarter[2]), join(quarter[1], quarter[3]));
}

struct Wide {
  f32x4 v;
};
constexpr int kWideLanes = 4;

template <typename T>
inline Wide load_wide(const T* p) {
  return {load4(p)};
}
inline Wide in_register(Wide x) {
  return x;
}
inline Wide broadcast_wide(float x) {
  return {f32x4{x, x, x, x}};
}
inline void store(float* p, Wide x) {
  __builtin_memcpy(p, &x, sizeof x);
}
inline Wide multiply_add(Wide a, Wide b, Wide c) {
  return {a.v * b.v + c.v};
}

/// The sums over the lanes of four vectors, to y[0..3].
inline void sum4(Wide a, Wide b, Wide c, Wide d, float* y) {
  const auto total = [](f32x4 x) { return (x[0] + x[1]) + (x[2] + x[3]); };
  y[0] = total(a.v), y[1] = total(b.v), y[2] = total(c.v), y[3] = total(d.v);
}

}  // namespace minicpm::ISA
