// f32x16 where nothing is known of the processor: four groups of four floats in the compiler's own
// vectors, which become SSE2 on x86-64. Included by simd.h only.
#pragma once

namespace minicpm::ISA {

typedef float f32x4 __attribute__((vector_size(16)));
typedef uint16_t u16x4 __attribute__((vector_size(8)));
typedef uint32_t u32x4 __attribute__((vector_size(16)));
typedef float f32x2 __attribute__((vector_size(8)));
typedef double f64x2 __attribute__((vector_size(16)));
typedef int64_t i64x2 __attribute__((vector_size(16)));

struct f32x16 {
  f32x4 part[4];
};

inline f32x4 load4(const float* p) {
  f32x4 x;
  __builtin_memcpy(&x, p, sizeof x);
  return x;
}
inline u32x4 load4_halves(const void* p) {
  u16x4 halves;
  __builtin_memcpy(&halves, p, sizeof halves);
  return __builtin_convertvector(halves, u32x4);
}
/// Exponent and mantissa moved into place are the number times 2^-112, subnormals, too.
inline f32x4 load4(const F16* p) {
  const u32x4 halves = load4_halves(p);
  const f32x4 magnitude = f32x4((halves & 0x7fff) << 13) * 0x1p112f;
  const u32x4 endless = (halves & 0x7c00) == 0x7c00;  // infinity and NaN
  return f32x4(u32x4(magnitude) | (halves & 0x8000) << 16 | (endless & 0x7f800000));
}
inline f32x4 load4(const int8_t* p) {
  typedef int8_t i8x4 __attribute__((vector_size(4)));
  i8x4 bytes;
  __builtin_memcpy(&bytes, p, sizeof bytes);
  return __builtin_convertvector(bytes, f32x4);
}
inline f32x4 load4(const Bf16* p) {
  return f32x4(load4_halves(p) << 16);
}

/// a * b + c, rounded to odd (Boldo & Melquiond 2008), for a, b and c that are floats: rounding it
/// to float a second time then cannot go wrong. The product is exact in double.
inline f64x2 fma_to_odd(f64x2 a, f64x2 b, f64x2 c) {
  const f64x2 product = a * b;
  const f64x2 sum = product + c;
  const f64x2 added = sum - product;
  const f64x2 error = (product - (sum - added)) + (c - added);
  // Cut off towards zero, then set the last bit, where something is lost (never with NaN or
  // infinity).
  const i64x2 down = error < 0;
  const i64x2 inexact = down | (error > 0);
  i64x2 bits = reinterpret_cast<i64x2>(sum);
  bits += inexact & (down ^ (sum < 0));  // adds -1 where the sum was rounded away from zero
  bits |= inexact & i64x2{1, 1};
  return reinterpret_cast<f64x2>(bits);
}

/// a * b + c, rounded once, without an instruction for it.
inline f32x4 fma4(f32x4 a, f32x4 b, f32x4 c) {
  const auto low = [](f32x4 x) {
    return __builtin_convertvector(__builtin_shufflevector(x, x, 0, 1), f64x2);
  };
  const auto high = [](f32x4 x) {
    return __builtin_convertvector(__builtin_shufflevector(x, x, 2, 3), f64x2);
  };
  const f32x2 first = __builtin_convertvector(fma_to_odd(low(a), low(b), low(c)), f32x2);
  const f32x2 last = __builtin_convertvector(fma_to_odd(high(a), high(b), high(c)), f32x2);
  return __builtin_shufflevector(first, last, 0, 1, 2, 3);
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

inline f32x16 add_halves(f32x16 a, f32x16 b) {
  return {
      {a.part[0] + a.part[2], a.part[1] + a.part[3], b.part[0] + b.part[2], b.part[1] + b.part[3]}};
}
inline f32x16 add_quarters(f32x16 a, f32x16 b) {
  return {
      {a.part[0] + a.part[1], a.part[2] + a.part[3], b.part[0] + b.part[1], b.part[2] + b.part[3]}};
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
