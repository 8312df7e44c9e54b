// The KV cache of one sequence: a list of 64-token blocks, taken from the model's pool as tokens
// come.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "kernels/kv_layout.h"
#include "native/backend/buffer.h"

namespace minicpm {

/// Counts the blocks promised to sequences. A reservation is a count; memory is taken as blocks are
/// written.
class KvPool {
 public:
  explicit KvPool(KvLayout layout) : layout_(layout) {}

  const KvLayout& layout() const { return layout_; }

  /// Promises `blocks` to a sequence. Throws Error{kOutOfMemory} where what is promised and not yet
  /// taken would not fit the machine's free memory.
  void reserve(int64_t blocks);
  void release(int64_t blocks_not_taken);
  Buffer take();

 private:
  const KvLayout layout_;
  std::mutex mutex_;
  int64_t promised_ = 0;  // reserved and not taken
};

class KvCache {
 public:
  /// Reserves room for `capacity` tokens. `pool` outlives the cache.
  KvCache(KvPool& pool, int64_t capacity);
  ~KvCache();
  KvCache(const KvCache&) = delete;
  KvCache& operator=(const KvCache&) = delete;

  /// Makes blocks exist for positions below `length`. Allocates only when a block begins.
  void grow(int64_t length);

  /// Zeroes the slots from `length` on and gives back the blocks behind them.
  void truncate(int64_t length);

  std::byte* const* blocks() const { return pointers_.data(); }

 private:
  KvPool& pool_;
  int64_t reserved_;
  std::vector<Buffer> buffers_;
  std::vector<std::byte*> pointers_;
};

inline int64_t blocks_for(int64_t tokens) {
  return (tokens + kBlockTokens - 1) / kBlockTokens;
}

}  // namespace minicpm
