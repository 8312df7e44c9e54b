// All KV blocks of a model: open ones that a sequence still fills, sealed ones that any number of
// sequences share, and sealed ones nobody holds at the moment, kept for the next prompt that begins
// with the same tokens.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/kv_layout.h"
#include "native/backend/buffer.h"
#include "native/engine/kv_spill.h"
#include "native/engine/pooled_slabs.h"

namespace minicpm {

/// Names a prefix: the hash of a block's tokens and of the prefix before it. 128 bits, not
/// cryptographic; a hit is always verified token by token, so a collision costs a miss and never a
/// wrong answer.
struct ChainKey {
  uint64_t high = 0;
  uint64_t low = 0;
  bool operator==(const ChainKey&) const = default;
};

/// The key of 64 tokens behind `parent`.
ChainKey extend(const ChainKey& parent, std::span<const int32_t, kBlockTokens> tokens);

/// The key of the empty prefix of a run: everything that changes keys or values beside the tokens.
ChainKey run_key(std::string_view fingerprint);

/// 64 tokens' keys and values for every layer and head. Sealed blocks are immutable.
struct KvBlock {
  Buffer
      memory;  // with a spill, of a sealed block: read what was fetched, or by BlockStore::content
  std::byte* pooled = nullptr;  // in a slab; null: behind the heads, if there are any
  int64_t holders = 0;          // sequences
  bool sealed = false;
  ChainKey parent, key;                        // once sealed
  std::array<int32_t, kBlockTokens> tokens{};  // once sealed

  Spilled spilled;  // the spill's

  // The store's links: in a bucket once sealed; in age order while nobody holds it.
  KvBlock* next_in_bucket = nullptr;
  KvBlock* older = nullptr;
  KvBlock* newer = nullptr;
};

/// Thread-safe. A reservation is a count of blocks that sequences may still take; memory is taken
/// as blocks are written, so an idle conversation costs what it has said, and a running one never
/// finds memory gone midway.
class BlockStore {
 public:
  /// Sealed blocks that nobody holds are kept up to `cache_bytes`. `spill`, if any, has what its
  /// memory does not hold. `memory` is where blocks are, the host's where there is a spill; it
  /// outlives the store.
  BlockStore(KvLayout layout, int64_t cache_bytes, std::unique_ptr<KvSpill> spill = nullptr,
             Memory& memory = host_memory());
  BlockStore(const BlockStore&) = delete;
  BlockStore& operator=(const BlockStore&) = delete;

  const KvLayout& layout() const { return layout_; }
  KvSpill* spill() { return spill_.get(); }  // null: all is in memory
  Memory& memory() { return memory_; }
  /// Whether pooled keys lie in slabs.
  bool has_slabs() const { return layout_.pooled && layout_.pooled_run > 1; }

  /// Promises `blocks` more. Drops cached blocks as needed; throws Error{kOutOfMemory} where all
  /// that is promised would still not fit the memory that is free.
  void reserve(int64_t blocks);
  /// Takes back a promise that was not used.
  void release(int64_t blocks);

  /// A new, zeroed, open block out of the caller's promise. Throws Error{kOutOfMemory, kStorage},
  /// the promise unused.
  KvBlock* take();
  /// Another holder of a block.
  void share(KvBlock* block);
  /// One holder less: an open block is freed, a sealed one that nobody holds stays cached.
  void drop(KvBlock* block);
  /// Drops it and promises the caller another in its place.
  void exchange(KvBlock* block);
  int64_t holders(const KvBlock* block);

  /// All bytes of a block that the caller holds, on the host: its memory, or `copy`, filled, where
  /// that may lack some or is a device's. Throws Error{kOutOfMemory, kStorage, kDevice}.
  std::span<const std::byte> content(const KvBlock& block, Buffer& copy);
  /// The same into another block's memory.
  void copy(const KvBlock& from, KvBlock& to);
  /// An open block's bytes become those that `fill` writes on the host, where it returns true.
  /// Throws Error{kOutOfMemory, kDevice}.
  bool write(KvBlock& block, const std::function<bool(std::span<std::byte>)>& fill);

  /// Makes a full block immutable and findable. Returns the block to hold from now on: another one
  /// where the same prefix was already stored (the given one is dropped then).
  KvBlock* seal(KvBlock* block, const ChainKey& parent,
                std::span<const int32_t, kBlockTokens> tokens);

  /// The sealed block of these tokens behind `parent`, held by the caller from now on, or null.
  /// Uses the caller's promise.
  KvBlock* find(const ChainKey& parent, std::span<const int32_t, kBlockTokens> tokens);

  /// Drops every block that nobody holds.
  void clear_cache();

  struct Usage {
    int64_t held;    // blocks
    int64_t cached;  // blocks that nobody holds
    int64_t promised;
  };
  Usage usage();

 private:
  /// Makes a free header for every block that is promised.
  void stock_headers();
  KvBlock** bucket(const ChainKey& key) { return &buckets_[key.low & (buckets_.size() - 1)]; }
  void insert(KvBlock* block);
  void erase(KvBlock* block);
  void begin_unheld(KvBlock* block);
  void end_unheld(KvBlock* block);
  /// Frees unheld blocks, oldest first, until at most `keep` are left.
  void shrink_cache(int64_t keep);
  void free(KvBlock* block);
  /// Of `blocks` blocks that are promised and not yet written.
  int64_t memory_of(int64_t blocks);

  const KvLayout layout_;
  const int64_t cache_blocks_;
  const std::unique_ptr<KvSpill> spill_;
  Memory& memory_;
  std::mutex mutex_;  // of all that follows, and of the blocks' fields
  int64_t promised_ = 0;
  int64_t held_ = 0;
  int64_t cached_ = 0;
  KvBlock* oldest_ = nullptr;  // of those nobody holds
  KvBlock* newest_ = nullptr;
  PooledSlabs slabs_;
  // Block headers and buckets grow with reservations, so that a decode step allocates nothing but
  // pages.
  std::deque<KvBlock> headers_;
  std::vector<KvBlock*> free_headers_;
  std::vector<KvBlock*> buckets_ = std::vector<KvBlock*>(64);  // a power of two
};

}  // namespace minicpm
