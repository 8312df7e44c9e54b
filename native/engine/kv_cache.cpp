#include "native/engine/kv_cache.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <string>

#include "kernels/error.h"

namespace minicpm {

namespace {

/// Read from files in one call of attach, about: some 50 ms.
constexpr size_t kReadBytes = size_t{64} << 20;

}  // namespace

KvCache::KvCache(BlockStore& store, const ChainKey& run, int64_t capacity,
                 BlockDirectory* directory)
    : store_(store), capacity_blocks_(blocks_for(capacity)), directory_(directory) {
  store_.reserve(capacity_blocks_);
  blocks_.reserve(static_cast<size_t>(capacity_blocks_));
  pointers_.reserve(static_cast<size_t>(capacity_blocks_));
  pooled_.reserve(static_cast<size_t>(capacity_blocks_));
  keys_.reserve(static_cast<size_t>(capacity_blocks_) + 1);
  keys_.push_back(run);
}

KvCache::KvCache(const KvCache& parent)
    : store_(parent.store_),
      capacity_blocks_(parent.capacity_blocks_),
      keys_(parent.keys_),
      directory_(parent.directory_),
      offered_(parent.offered_) {
  store_.reserve(capacity_blocks_ - full_blocks());
  blocks_.reserve(static_cast<size_t>(capacity_blocks_));
  pointers_.reserve(static_cast<size_t>(capacity_blocks_));
  pooled_.reserve(static_cast<size_t>(capacity_blocks_));
  keys_.reserve(static_cast<size_t>(capacity_blocks_) + 1);
  const std::optional<Error> error = error_of([&] {
    for (KvBlock* block : parent.blocks_) {
      if (static_cast<int64_t>(blocks_.size()) < full_blocks()) {
        store_.share(block);
        push(block);
      } else {
        push(store_.take());
        store_.copy(*block, *blocks_.back());
      }
    }
  });
  if (!error) return;
  let_go();
  throw Error(*error);
}

KvCache::~KvCache() {
  let_go();
}

void KvCache::let_go() {
  store_.release(capacity_blocks_ - static_cast<int64_t>(blocks_.size()));
  for (KvBlock* block : blocks_) store_.drop(block);
}

void KvCache::push(KvBlock* block) {
  blocks_.push_back(block);
  pointers_.push_back(block->memory.data());
  pooled_.push_back(block->pooled);
}

void KvCache::replace(size_t index, KvBlock* block) {
  blocks_[index] = block;
  pointers_[index] = block->memory.data();
  pooled_[index] = block->pooled;
}

void KvCache::grow(int64_t length) {
  while (static_cast<int64_t>(blocks_.size()) < blocks_for(length)) push(store_.take());
}

void KvCache::seal(std::span<const int32_t> tokens) {
  const auto full = static_cast<int64_t>(tokens.size()) / kBlockTokens;
  while (full_blocks() < full) {
    const auto index = static_cast<size_t>(full_blocks());
    const std::span<const int32_t, kBlockTokens> content(tokens.data() + index * kBlockTokens,
                                                         kBlockTokens);
    const ChainKey parent = keys_.back();
    replace(index, store_.seal(blocks_[index], parent, content));
    keys_.push_back(extend(parent, content));
  }
  offer_full_blocks();
}

void KvCache::offer_full_blocks() {
  if (directory_ == nullptr) return;
  while (offered_ < full_blocks() && directory_->offer(blocks_[static_cast<size_t>(offered_)])) {
    ++offered_;
  }
}

KvCache::Attached KvCache::attach(std::vector<int32_t>& tokens, std::span<const int32_t> next,
                                  const std::string& folder) {
  size_t attached = 0, read_bytes = 0;
  while (read_bytes < kReadBytes) {
    const size_t open = tokens.size() % kBlockTokens;  // tokens in the open block
    const size_t missing = kBlockTokens - open;
    if (next.size() - attached <= missing)
      break;  // the last token is always computed: its logits are wanted
    BlockName name{.parent = keys_.back()};
    std::array<int32_t, kBlockTokens>& content = name.tokens;
    std::copy_n(tokens.end() - static_cast<long>(open), open, content.begin());
    std::copy_n(next.begin() + static_cast<long>(attached), missing, content.begin() + open);
    KvBlock* block = store_.find(keys_.back(), content);
    if (block == nullptr) {
      block = read(name, folder);
      if (block == nullptr) break;
      read_bytes += block->memory.size();
    }
    if (open > 0) {
      store_.exchange(blocks_.back());
      replace(blocks_.size() - 1, block);
    } else {
      push(block);
    }
    keys_.push_back(extend(keys_.back(), content));
    tokens.insert(tokens.end(), content.begin() + open, content.end());
    attached += missing;
  }
  if (attached > 0) offer_full_blocks();
  return {static_cast<int64_t>(attached), read_bytes >= kReadBytes};
}

/// A block from its file, sealed and held; uses a promise as BlockStore::find does. Null where
/// there is none, or no memory for it.
KvBlock* KvCache::read(const BlockName& name, const std::string& folder) {
  if (directory_ == nullptr && folder.empty()) return nullptr;
  // The open block, if there is one, stays until the file has proved right: one more for a moment.
  try {
    store_.reserve(1);
  } catch (const Error&) {
    return nullptr;
  }
  KvBlock* block;
  try {
    block = store_.take();
  } catch (const Error&) {
    store_.release(1);
    return nullptr;
  }
  bool found = false;
  try {
    found = store_.write(*block, [&](std::span<std::byte> bytes) {
      return (directory_ && directory_->read(name, bytes)) ||
             (!folder.empty() && read_block_file(folder, name, bytes) == BlockFile::read);
    });
  } catch (const Error&) {
    // No room to read it to.
  }
  if (found) {
    block = store_.seal(block, name.parent, name.tokens);
  } else {
    store_.exchange(block);
  }
  store_.release(1);
  return found ? block : nullptr;
}

void KvCache::save(int64_t index, const std::string& folder, const std::string& previous) const {
  const KvBlock& block = *blocks_[static_cast<size_t>(index)];
  if (std::filesystem::exists(block_path(folder, block.key))) return;
  if (!previous.empty() && link_block_file(folder, previous, block.key)) return;
  if (directory_ && link_block_file(folder, directory_->folder(), block.key)) return;
  Buffer copy;
  const std::string problem =
      write_block_file(folder, {block.parent, block.tokens}, store_.content(block, copy));
  if (!problem.empty()) throw storage_error(folder, problem);
}

void KvCache::isolate() {
  directory_ = nullptr;
  static std::atomic<uint64_t> unique{0};
  keys_.back() = run_key("isolated " + std::to_string(++unique));
}

void KvCache::truncate(int64_t length) {
  const int64_t kept = blocks_for(length);
  const int tail = static_cast<int>(length % kBlockTokens);
  const bool reopens = tail > 0 && kept <= full_blocks();

  // Blocks that others hold stay in memory when we let them go: growing again needs as many more.
  int64_t shared = 0;
  for (int64_t i = kept - reopens; i < static_cast<int64_t>(blocks_.size()); ++i) {
    shared += store_.holders(blocks_[static_cast<size_t>(i)]) > 1;
  }
  store_.reserve(shared + reopens);  // the open copy stands beside the full block for a moment
  KvBlock* open = nullptr;
  if (reopens) open = copy_of(*blocks_[static_cast<size_t>(kept) - 1], shared + 1);
  store_.release(shared);
  while (static_cast<int64_t>(blocks_.size()) > kept) {
    store_.exchange(blocks_.back());
    blocks_.pop_back();
    pointers_.pop_back();
    pooled_.pop_back();
  }
  if (reopens) {
    store_.exchange(blocks_.back());
    store_.release(1);
    replace(blocks_.size() - 1, open);
  }
  keys_.resize(std::min(keys_.size(), static_cast<size_t>(length / kBlockTokens) + 1));
  offered_ = std::min(offered_, full_blocks());
  if (tail > 0) zero_from(*blocks_.back(), tail);
}

/// An open copy. Where there can be none, `promised` blocks are released and the error thrown.
KvBlock* KvCache::copy_of(const KvBlock& full, int64_t promised) {
  KvBlock* open = nullptr;
  const std::optional<Error> error = error_of([&] {
    open = store_.take();
    store_.copy(full, *open);
  });
  if (!error) return open;
  if (open) store_.exchange(open);
  store_.release(promised);
  throw Error(*error);
}

/// Slots from `slot` on, of all layers and heads at once but for keys that share a tile with some
/// that stay.
void KvCache::zero_from(KvBlock& block, int slot) {
  const KvLayout& layout = store_.layout();
  Memory& memory = store_.memory();
  const auto heads = static_cast<size_t>(layout.layers * layout.kv_heads);
  const size_t size = size_of(layout.dtype), pitch = 2 * layout.head_bytes();
  std::byte* const k = block.memory.data() + layout.k_offset(0, 0);
  std::byte* const v = block.memory.data() + layout.v_offset(0, 0);
  const auto bytes_of = [&](int slots) { return layout.v_index(slots, 0) * size; };

  memory.zero(v + bytes_of(slot), {bytes_of(kBlockTokens - slot), heads, pitch});
  const int in_tile = slot % kTileKeys, cut = in_tile ? kTileKeys - in_tile : 0;
  if (const int tiles = kBlockTokens - slot - cut; tiles > 0) {
    memory.zero(k + bytes_of(slot + cut), {bytes_of(tiles), heads, pitch});
  }
  if (cut > 0) {
    // A key's numbers lie in runs, each beside those of its tile's other keys.
    const size_t run = layout.k_index(1, 0) * size, tile_run = run * kTileKeys;
    for (size_t head = 0; head < heads; ++head) {
      memory.zero(k + head * pitch + layout.k_index(slot, 0) * size,
                  {static_cast<size_t>(cut) * run, bytes_of(1) / run, tile_run});
    }
  }
  if (layout.dtype == DType::i8) {
    const size_t kept = static_cast<size_t>(slot) * sizeof(float);
    const size_t all = kBlockTokens * sizeof(float);  // of a head's keys, or values
    std::byte* const scales = block.memory.data() + layout.scales_offset(0, 0);
    memory.zero(scales + kept, {all - kept, 2 * heads, all});
  }
}

}  // namespace minicpm
