#include "native/engine/block_store.h"

#include <algorithm>
#include <bit>
#include <string>
#include <utility>

#include "kernels/error.h"

namespace minicpm {
namespace {

/// splitmix64's finalizer (Steele et al. 2014): a bijection that mixes all bits.
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

void absorb(ChainKey& key, uint64_t word) {
  key.high = mix(key.high ^ word);
  key.low = mix(key.low + word * 0x9e3779b97f4a7c15 + key.high);
}

}  // namespace

ChainKey extend(const ChainKey& parent, std::span<const int32_t, kBlockTokens> tokens) {
  ChainKey key = parent;
  for (const int32_t token : tokens) absorb(key, static_cast<uint32_t>(token));
  return key;
}

ChainKey run_key(std::string_view fingerprint) {
  ChainKey key;
  for (const char byte : fingerprint) absorb(key, static_cast<uint8_t>(byte));
  return key;
}

BlockStore::BlockStore(KvLayout layout, int64_t cache_bytes, std::unique_ptr<KvSpill> spill,
                       Memory& memory)
    : layout_(layout),
      cache_blocks_(cache_bytes / static_cast<int64_t>(layout.block_bytes())),
      spill_(std::move(spill)),
      memory_(memory),
      slabs_(layout) {}

// ------------------------------------------------------------------------------------ reservations

void BlockStore::reserve(int64_t blocks) {
  const std::lock_guard lock(mutex_);
  const int64_t block_bytes = memory_of(1);
  const int64_t needed = memory_of(promised_ + blocks);
  int64_t free_bytes = memory_.free_bytes();
  if (needed > free_bytes && cached_ > 0) {
    const int64_t before = cached_;
    shrink_cache(cached_ - (needed - free_bytes + block_bytes - 1) / block_bytes);
    free_bytes += (before - cached_) * block_bytes;
  }
  if (needed > free_bytes) {
    const std::string remedy = "Use a smaller contextLength or kvType, or close other sessions.";
    throw Error(ErrorCode::kOutOfMemory,
                std::to_string(needed) + " bytes of KV blocks are needed, " +
                    std::to_string(free_bytes) + " are free. " + remedy,
                {std::to_string(needed), std::to_string(free_bytes), remedy});
  }
  promised_ += blocks;
  stock_headers();
}

int64_t BlockStore::memory_of(int64_t blocks) {
  return blocks *
         (spill_ ? KvSpill::pinned_bytes(layout_) : static_cast<int64_t>(layout_.block_bytes()));
}

void BlockStore::stock_headers() {
  while (static_cast<int64_t>(free_headers_.size()) < promised_) {
    free_headers_.push_back(&headers_.emplace_back());
  }
  free_headers_.reserve(headers_.size());
  if (headers_.size() > buckets_.size()) {
    const std::vector<KvBlock*> old =
        std::exchange(buckets_, std::vector<KvBlock*>(std::bit_ceil(headers_.size())));
    for (KvBlock* chain : old) {
      while (chain) insert(std::exchange(chain, chain->next_in_bucket));
    }
  }
}

void BlockStore::release(int64_t blocks) {
  const std::lock_guard lock(mutex_);
  promised_ -= blocks;
}

// ----------------------------------------------------------------------------------------- holding

KvBlock* BlockStore::take() {
  Buffer memory(memory_, has_slabs() ? layout_.before_pooled() : layout_.block_bytes());
  const std::lock_guard lock(mutex_);
  KvBlock* block = free_headers_.back();
  block->memory = std::move(memory);
  if (has_slabs() && !block->pooled) block->pooled = slabs_.take();  // else of one that failed here
  if (spill_) spill_->begin(*block);
  free_headers_.pop_back();
  block->holders = 1;
  --promised_;
  ++held_;
  return block;
}

void BlockStore::share(KvBlock* block) {
  const std::lock_guard lock(mutex_);
  ++block->holders;
}

void BlockStore::exchange(KvBlock* block) {
  release(-1);
  drop(block);
  const std::lock_guard lock(mutex_);
  stock_headers();  // a sealed block takes its header with it into the cache
}

void BlockStore::drop(KvBlock* block) {
  const std::lock_guard lock(mutex_);
  if (--block->holders > 0) return;
  --held_;
  if (!block->sealed) return free(block);
  begin_unheld(block);
  shrink_cache(cache_blocks_);
}

int64_t BlockStore::holders(const KvBlock* block) {
  const std::lock_guard lock(mutex_);
  return block->holders;
}

std::span<const std::byte> BlockStore::content(const KvBlock& block, Buffer& copy) {
  const size_t bytes = block.memory.size();
  if (!spill_ && memory_.is_host() && !block.pooled) return {block.memory.data(), bytes};
  if (copy.size() == 0) copy = Buffer(layout_.block_bytes());
  if (spill_) {
    spill_->read(block, {copy.data(), bytes});
  } else {
    memory_.download(copy.data(), block.memory.data(), bytes);
    memory_.synchronize();
  }
  if (block.pooled) slabs_.read(block.pooled, copy.data() + bytes);
  return {copy.data(), copy.size()};
}

void BlockStore::copy(const KvBlock& from, KvBlock& to) {
  if (spill_) {
    spill_->read(from, {to.memory.data(), to.memory.size()});
  } else {
    memory_.copy(to.memory.data(), from.memory.data(), to.memory.size());
  }
  if (from.pooled) slabs_.copy(from.pooled, to.pooled);
}

bool BlockStore::write(KvBlock& block, const std::function<bool(std::span<std::byte>)>& fill) {
  if (memory_.is_host() && !block.pooled) return fill({block.memory.data(), block.memory.size()});
  const Buffer bytes(layout_.block_bytes());
  if (!fill({bytes.data(), bytes.size()})) return false;
  memory_.upload(block.memory.data(), bytes.data(), block.memory.size());
  if (block.pooled) slabs_.write(block.pooled, bytes.data() + block.memory.size());
  return true;
}

// ----------------------------------------------------------------------------------------- finding

KvBlock* BlockStore::seal(KvBlock* block, const ChainKey& parent,
                          std::span<const int32_t, kBlockTokens> tokens) {
  if (KvBlock* known = find(parent, tokens)) {
    exchange(block);  // find() used a promise
    return known;
  }
  if (spill_) spill_->write(*block);
  const std::lock_guard lock(mutex_);
  block->parent = parent;
  block->key = extend(parent, tokens);
  std::ranges::copy(tokens, block->tokens.begin());
  block->sealed = true;
  insert(block);
  return block;
}

KvBlock* BlockStore::find(const ChainKey& parent, std::span<const int32_t, kBlockTokens> tokens) {
  const ChainKey key = extend(parent, tokens);
  const std::lock_guard lock(mutex_);
  KvBlock* block = *bucket(key);
  while (block && !(block->key == key && block->parent == parent &&
                    std::ranges::equal(block->tokens, tokens))) {
    block = block->next_in_bucket;
  }
  if (!block) return nullptr;
  if (block->holders++ == 0) {
    end_unheld(block);
    ++held_;
  }
  --promised_;
  return block;
}

void BlockStore::insert(KvBlock* block) {
  KvBlock** first = bucket(block->key);
  block->next_in_bucket = std::exchange(*first, block);
}

void BlockStore::erase(KvBlock* block) {
  KvBlock** link = bucket(block->key);
  while (*link != block) link = &(*link)->next_in_bucket;
  *link = block->next_in_bucket;
}

// ------------------------------------------------------------------------------------------- cache

void BlockStore::clear_cache() {
  const std::lock_guard lock(mutex_);
  shrink_cache(0);
}

BlockStore::Usage BlockStore::usage() {
  const std::lock_guard lock(mutex_);
  return {held_, cached_, promised_};
}

void BlockStore::begin_unheld(KvBlock* block) {
  block->older = std::exchange(newest_, block);
  block->newer = nullptr;
  (block->older ? block->older->newer : oldest_) = block;
  ++cached_;
}

void BlockStore::end_unheld(KvBlock* block) {
  (block->older ? block->older->newer : oldest_) = block->newer;
  (block->newer ? block->newer->older : newest_) = block->older;
  --cached_;
}

void BlockStore::shrink_cache(int64_t keep) {
  while (cached_ > std::max<int64_t>(keep, 0)) {
    KvBlock* block = oldest_;
    end_unheld(block);
    erase(block);
    free(block);
  }
}

void BlockStore::free(KvBlock* block) {
  if (spill_) spill_->end(*block);
  block->memory = Buffer();
  if (block->pooled) slabs_.give(std::exchange(block->pooled, nullptr));
  block->sealed = false;
  free_headers_.push_back(block);
}

}  // namespace minicpm
