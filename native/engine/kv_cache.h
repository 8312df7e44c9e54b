// The KV cache of one sequence: a list of 64-token blocks of the model's store.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "native/engine/block_directory.h"
#include "native/engine/block_store.h"

namespace minicpm {

/// Full blocks are sealed and may be shared; only the last one can be open. `store` outlives the
/// cache.
class KvCache {
 public:
  /// Reserves room for `capacity` tokens. `run` names everything beside the tokens that changes
  /// keys or values. Full blocks are offered to `directory`, and looked for in it. Throws
  /// Error{kOutOfMemory}.
  KvCache(BlockStore& store, const ChainKey& run, int64_t capacity,
          BlockDirectory* directory = nullptr);
  /// Shares the full blocks of `parent` and copies its open one; reserves what it may still grow.
  /// Throws Error{kOutOfMemory, kStorage}.
  static KvCache fork(const KvCache& parent) { return KvCache(parent); }
  ~KvCache();
  KvCache& operator=(const KvCache&) = delete;

  /// Makes blocks exist for positions below `length`. Allocates only when a block begins. Throws
  /// Error{kOutOfMemory, kStorage}; what is held stays as it is.
  void grow(int64_t length);

  /// Seals the blocks that `tokens`, the whole sequence, has filled.
  void seal(std::span<const int32_t> tokens);

  struct Attached {
    int64_t tokens = 0;
    bool paused = false;  // after some files, so that others have their turn; there may be more
  };
  /// Goes on with stored blocks instead of computing: appends to `tokens`, the whole sequence, as
  /// many of `next` as the store, the directory or `folder` have blocks for, all but the last at
  /// most.
  Attached attach(std::vector<int32_t>& tokens, std::span<const int32_t> next,
                  const std::string& folder = "");

  /// Has `folder` hold the file of full block `index`, by a link to that in `previous` or in the
  /// directory if there is one. Throws Error{kStorage}.
  void save(int64_t index, const std::string& folder, const std::string& previous) const;
  int64_t full_blocks() const { return static_cast<int64_t>(keys_.size()) - 1; }

  /// From here on nothing of this sequence is shared: what follows are not its tokens' keys and
  /// values.
  void isolate();

  /// Forgets everything from `length` on: whole blocks are dropped, a full one that is cut is
  /// replaced by an open copy, the open tail is zeroed. Throws Error{kOutOfMemory}, changing
  /// nothing, where blocks that others hold would have to be grown again and do not fit, and
  /// Error{kStorage} where a spilled block cannot be copied.
  void truncate(int64_t length);

  std::byte* const* blocks() const { return pointers_.data(); }
  /// Of the blocks' pooled keys; null where they are behind the heads.
  std::byte* const* pooled() const { return store_.has_slabs() ? pooled_.data() : nullptr; }
  KvBlock* const* kv_blocks() const { return blocks_.data(); }
  Memory& memory() const { return store_.memory(); }

 private:
  KvCache(const KvCache& parent);

  void let_go();
  void offer_full_blocks();
  KvBlock* read(const BlockName& name, const std::string& folder);
  KvBlock* copy_of(const KvBlock& full, int64_t promised);
  void push(KvBlock* block);
  void replace(size_t index, KvBlock* block);
  void zero_from(KvBlock& block, int slot);

  BlockStore& store_;
  int64_t capacity_blocks_;
  std::vector<KvBlock*> blocks_;
  std::vector<std::byte*> pointers_;  // to the blocks' memory, as kernels want it
  std::vector<std::byte*> pooled_;    // to their pooled keys
  std::vector<ChainKey> keys_;        // of the first 0, 1, 2, ... full blocks
  BlockDirectory* directory_;         // null: none
  int64_t offered_ = 0;               // full blocks that the directory has taken
};

}  // namespace minicpm
