#include "kernels/half.h"

#include <cmath>

#include "test/kernels/tensors.h"
#include "test/kernels/test.h"

namespace minicpm::test {

TEST("every f16 and bf16 number survives the way to f32 and back") {
  for (uint32_t bits = 0; bits < 65536; bits++) {
    const auto half = static_cast<uint16_t>(bits);
    if (!std::isnan(f16_to_f32(half))) CHECK(f32_to_f16(f16_to_f32(half)) == half);
    if (!std::isnan(bf16_to_f32(half))) CHECK(f32_to_bf16(bf16_to_f32(half)) == half);
  }
}

TEST("f16 numbers have the values of IEEE 754") {
  for (int bits = 0; bits < 0x7c00; bits++) {
    const int exponent = bits >> 10, mantissa = bits & 1023;
    const double value =
        exponent ? std::ldexp(1024 + mantissa, exponent - 25) : std::ldexp(mantissa, -24);
    CHECK(f16_to_f32(static_cast<uint16_t>(bits)) == value);
    CHECK(f16_to_f32(static_cast<uint16_t>(bits | 0x8000)) == -value);
  }
  CHECK(std::isinf(f16_to_f32(0x7c00)) && std::isnan(f16_to_f32(0x7c01)));
}

TEST("rounding to 16 bits goes to the nearest, ties to the even one") {
  for (int bits = 0; bits < 0x7bff; bits++) {
    const auto low = static_cast<uint16_t>(bits), high = static_cast<uint16_t>(bits + 1);
    const float middle = (f16_to_f32(low) + f16_to_f32(high)) / 2;  // exact in f32
    CHECK(f32_to_f16(middle) == (bits % 2 ? high : low));
    CHECK(f32_to_f16(std::nextafter(middle, 0.0f)) == low);
    CHECK(f32_to_f16(std::nextafter(middle, INFINITY)) == high);
  }
  for (int bits = 0x0080; bits < 0x7f7f; bits++) {
    const auto low = static_cast<uint16_t>(bits), high = static_cast<uint16_t>(bits + 1);
    const float middle = float_of(uint32_t{low} << 16 | 0x8000);
    CHECK(f32_to_bf16(middle) == (bits % 2 ? high : low));
    CHECK(f32_to_bf16(std::nextafter(middle, 0.0f)) == low);
    CHECK(f32_to_bf16(std::nextafter(middle, INFINITY)) == high);
  }
}

TEST("what is too large for f16 becomes infinity, NaN stays NaN") {
  CHECK(f32_to_f16(65519.99f) == 0x7bff && f32_to_f16(65520) == 0x7c00);
  CHECK(f32_to_f16(-1e30f) == 0xfc00 && f32_to_f16(INFINITY) == 0x7c00);
  CHECK(std::isnan(f16_to_f32(f32_to_f16(NAN))) && std::isnan(bf16_to_f32(f32_to_bf16(NAN))));
  CHECK(f32_to_bf16(3.4e38f) == 0x7f80);
}

}  // namespace minicpm::test
