// Rotary angles of one sequence.
#pragma once

#include <string>
#include <vector>

#include "native/model/config.h"

namespace minicpm {

/// cos and sin of position * frequency, frequency[i] = 1 / (factor[i] * theta^(2i / head_dim)).
///
/// LongRoPE's list is fixed by the sequence's capacity, so that the same tokens get the same keys
/// however they are chunked (the model's own code switches lists as the sequence grows, which
/// leaves keys rotated by either).
class RopeAngles {
 public:
  RopeAngles(const Config& config, int64_t capacity);

  /// Which list and magnitude are in force: what changes rotated keys beside the config.
  std::string fingerprint() const;

  /// Writes [count, head_dim / 2] cosines and sines for positions from `position` on, computed in
  /// double.
  void fill(int64_t position, int count, float* cos, float* sin) const;

 private:
  std::vector<double> frequencies_;
  double magnitude_ = 1;
  bool long_ = false;
};

}  // namespace minicpm
