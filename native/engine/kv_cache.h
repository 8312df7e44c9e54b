// The KV cache of one sequence: a list of 64-token blocks of the model's store.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "native/engine/block_store.h"

namespace minicpm {

/// Full blocks are sealed and may be shared; only the last one can be open. `store` outlives the
/// cache.
class KvCache {
 public:
  /// Reserves room for `capacity` tokens. `run` names everything beside the tokens that changes
  /// keys or values. Throws Error{kOutOfMemory}.
  KvCache(BlockStore& store, const ChainKey& run, int64_t capacity);
  /// Shares the full blocks of `parent` and copies its open one; reserves what it may still grow.
  static KvCache fork(const KvCache& parent) { return KvCache(parent); }
  ~KvCache();
  KvCache& operator=(const KvCache&) = delete;

  /// Makes blocks exist for positions below `length`. Allocates only when a block begins.
  void grow(int64_t length);

  /// Seals the blocks that `tokens`, the whole sequence, has filled.
  void seal(std::span<const int32_t> tokens);

  /// Goes on with stored blocks instead of computing: appends to `tokens`, the whole sequence, as
  /// many of `next` as the store has blocks for, all but the last at most. Returns how many.
  int64_t attach(std::vector<int32_t>& tokens, std::span<const int32_t> next);

  /// From here on nothing of this sequence is shared: what follows are not its tokens' keys and
  /// values.
  void isolate();

  /// Forgets everything from `length` on: whole blocks are dropped, a full one that is cut is
  /// replaced by an open copy, the open tail is zeroed. Throws Error{kOutOfMemory}, changing
  /// nothing, where blocks that others hold would have to be grown again and do not fit.
  void truncate(int64_t length);

  std::byte* const* blocks() const { return pointers_.data(); }

 private:
  KvCache(const KvCache& parent);

  int64_t full_blocks() const { return static_cast<int64_t>(keys_.size()) - 1; }
  void push(KvBlock* block);
  void replace_last(KvBlock* block);
  void zero_from(KvBlock& block, int slot);

  BlockStore& store_;
  int64_t capacity_blocks_;
  std::vector<KvBlock*> blocks_;
  std::vector<std::byte*> pointers_;  // to the blocks' memory, as kernels want it
  std::vector<ChainKey> keys_;        // of the first 0, 1, 2, ... full blocks
};

inline int64_t blocks_for(int64_t tokens) {
  return (tokens + kBlockTokens - 1) / kBlockTokens;
}

}  // namespace minicpm
