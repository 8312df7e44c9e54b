#include "native/engine/token_counts.h"

#include <algorithm>

namespace minicpm {

void TokenCounts::reset(int vocab_size, std::span<const int32_t> context, size_t answer_start,
                        size_t more) {
  counts_.clear();
  counts_.reserve(std::min(context.size() + more, static_cast<size_t>(vocab_size)));
  index_.assign(static_cast<size_t>(vocab_size), -1);
  for (size_t i = 0; i < context.size(); ++i) count(context[i], i >= answer_start);
}

void TokenCounts::count(int32_t token, bool in_answer) {
  int32_t& place = index_[static_cast<size_t>(token)];
  if (place < 0) {
    place = static_cast<int32_t>(counts_.size());
    counts_.push_back({.token = token, .in_context = 0, .in_answer = 0});
  }
  TokenCount& entry = counts_[static_cast<size_t>(place)];
  ++entry.in_context;
  entry.in_answer += in_answer;
}

}  // namespace minicpm
