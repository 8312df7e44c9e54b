// InfLLM v2: which blocks of 64 keys a query attends to (MiniCPM4 report, arXiv:2506.07900, 2.2;
// the two generations of its code differ, as below).
//
// Keys are pooled: a fine pooled key is the mean of the 32 keys [16 j, 16 j + 32), a coarse one
// that of the 128 keys [64 i, 64 i + 128); a query sees those that end at or before its position.
// The score of a block is the largest, over the five fine pooled keys that touch it, of the sum
// over the group's query heads of the softmax weights. A query attends to the first blocks, to
// those next to it, and to the best-scored ones of the rest; equal scores: the lower block first.
#pragma once

#include <cstdint>

#include "kernels/kv_layout.h"

namespace minicpm {

struct SparseRule {
  int init_blocks = 1;       // the first ones, always attended to
  int local_blocks = 32;     // window_size / 64
  int top_k = 64;            // v4.0: init + chosen; v4.1: what comes on top of local_blocks
  int64_t dense_len = 8192;  // a query with fewer tokens up to and with itself attends to all
  bool v41 = true;           // the generation: v4.0 or v4.1
  bool coarse = false;       // the softmax's normalizer: over coarse pooled keys, or exact

  /// Blocks that a query attends to at most.
  constexpr int budget() const { return top_k + local_blocks; }

  /// Blocks up to its own that a query always attends to: v4.1 has one more.
  constexpr int near() const { return v41 ? local_blocks + 1 : local_blocks; }

  constexpr bool attends_all(int64_t position) const {
    return position + 1 < dense_len || position / kBlockTokens < budget();
  }

  /// For a query that does not attend to all: the blocks [init_blocks, candidates_end) compete for
  /// `chosen` places.
  constexpr int64_t candidates_end(int64_t position) const {
    return position / kBlockTokens + 1 - near();
  }
  constexpr int chosen() const { return budget() - init_blocks - near(); }

  /// Throws Error{kShape} where the blocks always attended to exceed the budget, or one is
  /// negative.
  void check(const char* op) const;
};

/// Fine pooled keys that the query at `position` sees: [0, fine_windows).
constexpr int64_t fine_windows(int64_t position) {
  const int64_t tokens = position + 1;
  return tokens < kPooledKeys ? 0 : (tokens - kPooledKeys) / kPoolStride + 1;
}

constexpr int64_t coarse_windows(int64_t position) {
  const int64_t tokens = position + 1;
  return tokens < 2 * kBlockTokens ? 0 : tokens / kBlockTokens - 1;
}

/// Bits of blocks: row `token * kv_heads + kv_head` of a batch has `stride` words, block b is bit
/// b % 64 of word b / 64.
struct BlockMasks {
  uint64_t* words = nullptr;  // no data: every query attends to all before it
  int64_t stride = 0;

  constexpr bool has(int64_t row, int64_t block) const {
    return words[row * stride + block / 64] >> (block % 64) & 1;
  }
};

}  // namespace minicpm
