// Natural logarithm and exponential in double: plain operations in a fixed order, so the same bits
// on every machine (the C library's differ between versions and processors). Within 2 units of the
// last place of the true value.
#pragma once

#include <cstdint>

namespace minicpm {

constexpr double kLn2High =
    0x1.62e42fefa38p-1;  // ln 2 with zeros at the end: times an integer it is exact
constexpr double kLn2Low = 0x1.ef35793c7673p-45;

/// ln(x) for a normal x > 0: x = m 2^e with m near 1, and ln m = 2 artanh((m - 1) / (m + 1)).
static constexpr double natural_log(double x) {
  const auto bits = __builtin_bit_cast(uint64_t, x);
  // Adding the distance from sqrt(1/2) to 1 carries into the exponent just where m would exceed
  // sqrt(2).
  const uint64_t shifted = bits + (0x3ff0000000000000 - 0x3fe6a09e667f3bcd);
  const double exponent = static_cast<double>(static_cast<int64_t>(shifted >> 52) - 1023);
  const uint64_t mantissa_bits = (shifted & 0x000fffffffffffff) + 0x3fe6a09e667f3bcd;
  const auto m = __builtin_bit_cast(double, mantissa_bits);
  const double s = (m - 1) / (m + 1), z = s * s;
  double series = 1.0 / 25;
  for (int odd = 23; odd >= 3; odd -= 2) series = series * z + 1.0 / odd;
  return exponent * kLn2High + (2 * s + (2 * s * z * series + exponent * kLn2Low));
}

/// e^x for x <= 700: x = n ln 2 + r, and e^r by its Taylor series. Below -700 it stays at e^-700,
/// which is nothing in any sum. No branches: a loop over it becomes vectors.
static constexpr double natural_exp(double x) {
  const double inside = x < -700 ? -700 : x;
  const double shifted =
      inside * 0x1.71547652b82fep+0 + 0x1.8p52;  // x / ln 2, an integer in the low bits
  const double n = shifted - 0x1.8p52;
  const double r = (inside - n * kLn2High) - n * kLn2Low;
  double series = 1.0 / 6227020800;  // 1 / 13!
  series = series * r + 1.0 / 479001600;
  series = series * r + 1.0 / 39916800;
  series = series * r + 1.0 / 3628800;
  series = series * r + 1.0 / 362880;
  series = series * r + 1.0 / 40320;
  series = series * r + 1.0 / 5040;
  series = series * r + 1.0 / 720;
  series = series * r + 1.0 / 120;
  series = series * r + 1.0 / 24;
  series = series * r + 1.0 / 6;
  series = series * r + 0.5;
  series = series * r + 1;
  series = series * r + 1;
  const uint64_t bits = (__builtin_bit_cast(uint64_t, shifted) + 1023) << 52;  // 2^n
  return series * __builtin_bit_cast(double, bits);
}

}  // namespace minicpm
