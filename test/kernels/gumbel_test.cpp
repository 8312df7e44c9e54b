#include "kernels/gumbel.h"

#include <cmath>

#include "kernels/sample.h"
#include "test/kernels/test.h"

namespace minicpm::test {

namespace {

bool equal(const PhiloxWords& a, const PhiloxWords& b) {
  return a.w[0] == b.w[0] && a.w[1] == b.w[1] && a.w[2] == b.w[2] && a.w[3] == b.w[3];
}

}  // namespace

TEST("Philox4x32-10 gives the known answers of Random123") {
  constexpr uint32_t kOnes = ~uint32_t{0};
  CHECK(equal(philox({{0, 0, 0, 0}}, 0, 0), {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}));
  CHECK(equal(philox({{kOnes, kOnes, kOnes, kOnes}}, kOnes, kOnes),
              {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}));
  CHECK(equal(philox({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0),
              {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}));
}

TEST("noise differs by seed, position and token, and is always finite") {
  const double one = gumbel(1, 2, 3);
  CHECK(one == gumbel(1, 2, 3));
  CHECK(one != gumbel(2, 2, 3) && one != gumbel(1, 3, 3) && one != gumbel(1, 2, 2));
  CHECK(gumbel(1, int64_t{1} << 40, 3) != gumbel(1, 0, 3));
  CHECK(gumbel(uint64_t{1} << 40, 0, 3) != gumbel(0, 0, 3));
  CHECK(std::isfinite(gumbel_of(0x1p-53)) && std::isfinite(gumbel_of(1 - 0x1p-53)));
}

TEST("Gumbel noise has the mean and the variance of its distribution") {
  double sum = 0, squares = 0;
  constexpr int kDraws = 200000;
  for (int i = 0; i < kDraws; i++) {
    const double noise = gumbel(7, i / 1000, i % 1000);
    sum += noise, squares += noise * noise;
  }
  const double mean = sum / kDraws, variance = squares / kDraws - mean * mean;
  CHECK(std::abs(mean - 0.5772157) < 0.012);      // Euler's constant, 4 standard errors
  CHECK(std::abs(variance - 1.6449341) < 0.032);  // pi^2 / 6
}

}  // namespace minicpm::test
