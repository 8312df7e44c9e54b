// How often each token stands in a sequence, for the penalties.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/sample.h"

namespace minicpm {

class TokenCounts {
 public:
  /// Counts `context`, whose tokens from `answer_start` on are the answer's. Allocates.
  void reset(int vocab_size, std::span<const int32_t> context, size_t answer_start, size_t more);

  /// One more token of the answer. Does not allocate for the first `more` tokens after reset.
  void add(int32_t token) { count(token, true); }

  void clear() { counts_.clear(); }

  std::span<const TokenCount> counts() const { return counts_; }

 private:
  void count(int32_t token, bool in_answer);

  std::vector<TokenCount> counts_;
  std::vector<int32_t> index_;  // [vocabulary]: token -> place in counts_, or -1
};

}  // namespace minicpm
