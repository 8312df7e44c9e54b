#include "native/model/rope_angles.h"

#include <cmath>

namespace minicpm {

RopeAngles::RopeAngles(const Config& config, int64_t capacity) {
  const int half = config.head_dim / 2;
  const std::vector<float>* factors = nullptr;
  if (config.long_rope) {
    const LongRope& rope = *config.long_rope;
    long_ = rope.always_long || capacity > rope.original_length;
    factors = long_ ? &rope.long_factor : &rope.short_factor;
    magnitude_ = rope.magnitude;
  }
  for (int i = 0; i < half; ++i) {
    const double frequency = std::pow(config.rope_theta, -2.0 * i / config.head_dim);
    frequencies_.push_back(factors ? frequency / (*factors)[static_cast<size_t>(i)] : frequency);
  }
}

std::string RopeAngles::fingerprint() const {
  return std::string(long_ ? "long" : "short") + " rope x " + std::to_string(magnitude_);
}

void RopeAngles::fill(int64_t position, int count, float* cos, float* sin) const {
  for (int64_t p = position; p < position + count; ++p) {
    for (const double frequency : frequencies_) {
      const double angle = static_cast<double>(p) * frequency;
      *cos++ = static_cast<float>(std::cos(angle) * magnitude_);
      *sin++ = static_cast<float>(std::sin(angle) * magnitude_);
    }
  }
}

}  // namespace minicpm
