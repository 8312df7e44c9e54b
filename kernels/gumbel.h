// The noise of contract 5. Random words: Philox4x32-10, a counter-based generator (Salmon et al.
// 2011, "Parallel Random Numbers: As Easy as 1, 2, 3"). Key: the seed; counter: position and token;
// tokens 2i and 2i + 1 share a draw.
#pragma once

#include <cstdint>

#include "kernels/log_exp.h"

namespace minicpm {

struct PhiloxWords {
  uint32_t w[4];
};

/// Ten rounds of Philox4x32.
static constexpr PhiloxWords philox(PhiloxWords counter, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; round++) {
    const uint64_t a = uint64_t{0xd2511f53} * counter.w[0];
    const uint64_t b = uint64_t{0xcd9e8d57} * counter.w[2];
    counter = {{static_cast<uint32_t>(b >> 32) ^ counter.w[1] ^ key0, static_cast<uint32_t>(b),
                static_cast<uint32_t>(a >> 32) ^ counter.w[3] ^ key1, static_cast<uint32_t>(a)}};
    key0 += 0x9e3779b9;
    key1 += 0xbb67ae85;
  }
  return counter;
}

/// The draw that tokens 2 * pair and 2 * pair + 1 share.
static constexpr PhiloxWords noise_words(uint64_t seed, int64_t position, int32_t pair) {
  const auto place = static_cast<uint64_t>(position);
  return philox({{static_cast<uint32_t>(pair), 0, static_cast<uint32_t>(place),
                  static_cast<uint32_t>(place >> 32)}},
                static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
}

/// A token's uniform number from its pair's draw: (52 random bits + 1/2) / 2^52, never 0, never 1.
static constexpr double noise_uniform(const PhiloxWords& words, int32_t token) {
  const bool odd = token % 2 != 0;
  const uint64_t high = odd ? words.w[3] : words.w[1];
  const uint64_t bits = (high << 32 | (odd ? words.w[2] : words.w[0])) >> 12;
  return (static_cast<double>(bits) + 0.5) * 0x1p-52;
}

static constexpr double gumbel_of(double uniform) {
  return -natural_log(-natural_log(uniform));
}

}  // namespace minicpm
