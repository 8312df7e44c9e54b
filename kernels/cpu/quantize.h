// Numbers rounded to int8 with one scale, as kernels/quantize_rows.h defines it.
#pragma once

#include "kernels/cpu/simd.h"

namespace minicpm::ISA {

/// `count` is a multiple of 16. Returns the scale.
inline float quantize(const float* x, int64_t count, int8_t* integers) {
  uint32_t magnitude = 0;  // of the largest; those of infinity and NaN are above all others
  for (int64_t first = 0; first < count; first += kLanes) {
    uint32_t bits[kLanes];
    __builtin_memcpy(bits, x + first, sizeof bits);
    for (uint32_t b : bits) magnitude = (b & 0x7fffffff) > magnitude ? b & 0x7fffffff : magnitude;
  }
  const bool numbers = magnitude < 0x7f800000;
  const float largest = float_of(magnitude);
  const bool nothing = !numbers || largest < 0x1p-100f;

  constexpr float kShifter = 0x1.8p23f;  // adding it rounds to an integer, which is the low bits
  const float factor = nothing ? 0 : 127 / largest;
  for (int64_t first = 0; first < count; first += kLanes) {
    const f32x16 scaled = (nothing ? broadcast(0) : load(x + first)) * broadcast(factor);
    float shifted[kLanes];
    uint32_t bits[kLanes];
    store(shifted, scaled + broadcast(kShifter));
    __builtin_memcpy(bits, shifted, sizeof bits);
    for (int i = 0; i < kLanes; i++) integers[first + i] = static_cast<int8_t>(bits[i]);
  }
  return !numbers ? __builtin_nanf("") : nothing ? 0 : largest / 127;
}

}  // namespace minicpm::ISA
