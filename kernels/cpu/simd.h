// One vector type for the CPU kernels: 16 floats, written once for each instruction set, same bits
// on all of them.
//
// f32x16 is one zmm, two ymm, or four groups of four plain floats. Every operation is an IEEE
// operation on each lane, reductions have one fixed tree, and exp is ours, so a kernel over f32x16
// gives the same bits on every set. `Wide` is what one register holds; its sums are ordered by the
// set, and only `linear` uses it.
//
// Everything is in a namespace named after the set (-DISA=avx2), and these files include no
// inline-heavy headers: a function compiled for AVX-512 must never be the copy that an older
// processor runs.
#pragma once

#include "kernels/half.h"

namespace minicpm::ISA {

constexpr int kLanes = 16;
static const float kLaneNumbers[kLanes] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

}  // namespace minicpm::ISA

#if defined(__AVX512F__)
#include "kernels/cpu/simd_avx512.h"
#elif defined(__AVX2__)
#include "kernels/cpu/simd_avx2.h"
#else
#include "kernels/cpu/simd_baseline.h"
#endif

namespace minicpm::ISA {

/// The first n (1 to 16) numbers at `p`, the other lanes 0; nothing behind them is read.
template <typename T>
inline f32x16 load_first(const T* p, int n) {
  if (n >= kLanes) return load(p);
  T padded[kLanes] = {};
  __builtin_memcpy(padded, p, static_cast<size_t>(n) * sizeof(T));
  return load(padded);
}

template <typename T>
inline void store_first(T* p, f32x16 x, int n) {
  if (n >= kLanes) return store(p, x);
  T padded[kLanes];
  store(padded, x);
  __builtin_memcpy(p, padded, static_cast<size_t>(n) * sizeof(T));
}

/// Lanes i and i + 8 are added first, then i and i + 4, then i and i + 2, then the last two.
inline float sum(f32x16 x) {
  return fold(x, [](auto a, auto b) { return a + b; });
}

/// Lane i is sum(x[i]).
inline f32x16 sums(const f32x16* x) {
#if defined(__AVX512F__)
  return sum_each(x);
#else
  float each[kLanes];
  for (int i = 0; i < kLanes; i++) each[i] = sum(x[i]);
  return load(each);
#endif
}

/// The same tree with the larger of two.
inline float largest(f32x16 x) {
  return fold(x, [](auto a, auto b) { return a > b ? a : b; });
}

/// e^x for x <= 0 (or minus infinity), within 2 units of the last place; 0 where the result would
/// be subnormal. x = n ln 2 + r with |r| <= ln 2 / 2; e^r by a polynomial (Cephes, Moshier 1992),
/// times 2^n by adding n to the exponent. exp(0) is exactly 1.
inline f32x16 exp_to_one(f32x16 x) {
  const f32x16 shifter =
      broadcast(0x1.8p23f);  // adding it rounds to an integer, which lands in the low bits
  const f32x16 shifted = fma(x, broadcast(0x1.715476p+0f), shifter);
  const f32x16 n = shifted - shifter;
  f32x16 r = fma(n, broadcast(-0x1.62e4p-1f), x);
  r = fma(n, broadcast(-0x1.7f7d1cp-20f), r);
  f32x16 p = fma(r, broadcast(1.9875691500e-4f), broadcast(1.3981999507e-3f));
  p = fma(p, r, broadcast(8.3334519073e-3f));
  p = fma(p, r, broadcast(4.1665795894e-2f));
  p = fma(p, r, broadcast(1.6666665459e-1f));
  p = fma(p, r, broadcast(5.0000001201e-1f));
  p = fma(p, r, broadcast(1));
  p = fma(p, r, broadcast(1));
  const f32x16 power = add_to_exponent(p, shifted);
  return select_less(x, broadcast(-87.336544f), broadcast(0), power);
}

/// The same for any x: infinity beyond 88.72.
inline f32x16 exp(f32x16 x) {
  return select_less(broadcast(88.72283f), x, broadcast(__builtin_inff()), exp_to_one(x));
}

/// x / (1 + exp(-x)).
inline f32x16 silu(f32x16 x) {
  return x / (broadcast(1) + exp(broadcast(0) - x));
}

}  // namespace minicpm::ISA
