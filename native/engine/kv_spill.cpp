#include "native/engine/kv_spill.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "kernels/error.h"
#include "native/engine/block_store.h"
#include "native/os/os.h"

namespace minicpm {
namespace {

os::File open_file(const std::string& folder) {
  if (!os::make_private_folders(folder)) throw storage_error(folder, os::last_error());
  os::File file = os::File::unnamed(folder);
  if (!file.ok()) throw storage_error(folder, os::last_error());
  return file;
}

int64_t bytes_a_slot(const KvLayout& layout) {
  return static_cast<int64_t>(2 * layout.head_bytes());
}

int64_t slots_a_layer(const KvLayout& layout, const SpillPlan& plan, int64_t most_blocks) {
  KvSpill::check(layout, plan, most_blocks);
  return plan.bytes / (bytes_a_slot(layout) * layout.layers);
}

}  // namespace

void KvSpill::check(const KvLayout& layout, const SpillPlan& plan, int64_t most_blocks) {
  const int64_t least = most_blocks * static_cast<int64_t>(layout.heads_bytes());
  if (plan.bytes >= least) return;
  const std::string needed = std::to_string(least), given = std::to_string(plan.bytes);
  const std::string remedy = "Give kvMemoryBytes " + needed + " or more.";
  throw Error(ErrorCode::kOutOfMemory,
              "What one token attends to takes " + needed + " bytes of keys and values, " + given +
                  " may be in memory. " + remedy,
              {needed, given, remedy});
}

KvSpill::KvSpill(const KvLayout& layout, const SpillPlan& plan, int64_t most_blocks)
    : layout_(layout),
      plan_(plan),
      slots_a_layer_(slots_a_layer(layout, plan, most_blocks)),
      file_(open_file(plan.path)),
      layers_(static_cast<size_t>(layout.layers)) {
  for (Layer& layer : layers_) {
    layer.slots.resize(static_cast<size_t>(slots_a_layer_));
    for (int slot = 0; slot < static_cast<int>(slots_a_layer_); ++slot) make_newest(layer, slot);
  }
  status_.path = plan.path;
  status_.capacity_bytes = slots_a_layer_ * bytes_a_slot(layout) * layout.layers;
}

// ---- whole blocks

void KvSpill::begin(KvBlock& block) {
  const std::lock_guard lock(mutex_);
  if (!status_.problem.empty()) throw storage_error(plan_.path, status_.problem);
  const auto bytes = static_cast<int64_t>(layout_.heads_bytes());
  if (free_places_.empty()) {
    if (!file_.allocate(places_ * bytes, bytes)) throw storage_error(plan_.path, os::last_error());
    free_places_.reserve(static_cast<size_t>(places_) + 1);
    free_places_.push_back(places_++);
    status_.file_bytes += bytes;
  }
  Spilled& spilled = block.spilled;
  spilled.slots.assign(static_cast<size_t>(layout_.layers * layout_.kv_heads), -1);
  spilled.written = false;
  spilled.place = free_places_.back();
  free_places_.pop_back();
  os::prefer_small_pages(block.memory.data(), block.memory.size());
}

void KvSpill::end(KvBlock& block) {
  const std::lock_guard lock(mutex_);
  Spilled& spilled = block.spilled;
  for (int i = 0; i < layout_.layers * layout_.kv_heads; ++i) {
    const int slot = std::exchange(spilled.slots[static_cast<size_t>(i)], -1);
    if (slot < 0) continue;
    Layer& layer = layers_[static_cast<size_t>(i / layout_.kv_heads)];
    layer.slots[static_cast<size_t>(slot)].block = nullptr;
    unlink(layer, slot);
    make_oldest(layer, slot);
  }
  free_places_.push_back(std::exchange(spilled.place, -1));
  spilled.written = false;
}

void KvSpill::write(KvBlock& block) {
  const std::lock_guard lock(mutex_);
  if (!file_.write_at(offset_of(block, 0, 0), {block.memory.data(), layout_.heads_bytes()})) {
    status_.problem = os::last_error();
    return;
  }
  block.spilled.written = true;
  status_.bytes_written += static_cast<int64_t>(layout_.heads_bytes());
  for (int layer = 0; layer < layout_.layers; ++layer) {
    for (int head = 0; head < layout_.kv_heads; ++head) give(layer, claim(layer), block, head);
  }
}

/// Never from pages that another thread may give back: what is written lies in the file.
void KvSpill::read(const KvBlock& block, std::span<std::byte> bytes) const {
  const size_t heads = layout_.heads_bytes();
  bool written;
  {
    const std::lock_guard lock(mutex_);
    written = block.spilled.written;
  }
  if (!written) {
    std::memcpy(bytes.data(), block.memory.data(), bytes.size());
    return;
  }
  if (!file_.read_at(offset_of(block, 0, 0), bytes.first(heads))) {
    throw storage_error(plan_.path, os::last_error());
  }
  std::memcpy(bytes.data() + heads, block.memory.data() + heads, bytes.size() - heads);
}

// ---- heads

void KvSpill::fetch(int layer, std::span<const KvNeed> needed,
                    std::span<KvBlock* const* const> sequences) {
  const std::lock_guard lock(mutex_);
  missing_.clear();
  for (const KvNeed& need : needed) {
    KvBlock* block = sequences[static_cast<size_t>(need.segment)][need.block];
    if (!block->spilled.written) continue;
    const int slot =
        block->spilled.slots[static_cast<size_t>(layer * layout_.kv_heads + need.kv_head)];
    if (slot < 0) {
      missing_.push_back({block, need.kv_head, offset_of(*block, layer, need.kv_head)});
      continue;
    }
    Layer& its = layers_[static_cast<size_t>(layer)];
    unlink(its, slot);
    make_newest(its, slot);
    ++status_.hits;
  }
  if (missing_.empty()) return;

  const auto start = std::chrono::steady_clock::now();
  std::ranges::sort(missing_, {}, &Missing::offset);
  const auto [last, end] = std::ranges::unique(missing_, {}, &Missing::offset);
  missing_.erase(last, end);
  const int64_t bytes = bytes_a_slot(layout_);
  if (missing_.size() > 1) {
    for (const Missing& one : missing_) file_.will_read(one.offset, bytes);
  }
  for (const Missing& one : missing_) {
    const int slot = claim(layer);
    if (!file_.read_at(one.offset, head_of(*one.block, layer, one.head))) {
      make_oldest(layers_[static_cast<size_t>(layer)], slot);
      throw storage_error(plan_.path, os::last_error());
    }
    give(layer, slot, *one.block, one.head);
  }
  status_.misses += static_cast<int64_t>(missing_.size());
  status_.bytes_read += static_cast<int64_t>(missing_.size()) * bytes;
  status_.read_seconds +=
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

KvSpill::Status KvSpill::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

int64_t KvSpill::offset_of(const KvBlock& block, int layer, int head) const {
  return block.spilled.place * static_cast<int64_t>(layout_.heads_bytes()) +
         static_cast<int64_t>(layout_.k_offset(layer, head));
}

std::span<std::byte> KvSpill::head_of(const KvBlock& block, int layer, int head) const {
  return {block.memory.data() + layout_.k_offset(layer, head), 2 * layout_.head_bytes()};
}

int KvSpill::claim(int layer) {
  Layer& its = layers_[static_cast<size_t>(layer)];
  const int slot = its.oldest;
  unlink(its, slot);
  Slot& claimed = its.slots[static_cast<size_t>(slot)];
  if (KvBlock* block = std::exchange(claimed.block, nullptr)) {
    block->spilled.slots[static_cast<size_t>(layer * layout_.kv_heads + claimed.head)] = -1;
    const std::span<std::byte> pages = head_of(*block, layer, claimed.head);
    os::forget_pages(pages.data(), pages.size());
  }
  return slot;
}

void KvSpill::give(int layer, int slot, KvBlock& block, int head) {
  Layer& its = layers_[static_cast<size_t>(layer)];
  Slot& given = its.slots[static_cast<size_t>(slot)];
  given.block = &block;
  given.head = head;
  block.spilled.slots[static_cast<size_t>(layer * layout_.kv_heads + head)] = slot;
  make_newest(its, slot);
}

void KvSpill::unlink(Layer& layer, int slot) {
  const auto [block, head, older, newer] = layer.slots[static_cast<size_t>(slot)];
  (older >= 0 ? layer.slots[static_cast<size_t>(older)].newer : layer.oldest) = newer;
  (newer >= 0 ? layer.slots[static_cast<size_t>(newer)].older : layer.newest) = older;
}

void KvSpill::make_newest(Layer& layer, int slot) {
  Slot& moved = layer.slots[static_cast<size_t>(slot)];
  moved.newer = -1;
  moved.older = std::exchange(layer.newest, slot);
  (moved.older >= 0 ? layer.slots[static_cast<size_t>(moved.older)].newer : layer.oldest) = slot;
}

void KvSpill::make_oldest(Layer& layer, int slot) {
  Slot& moved = layer.slots[static_cast<size_t>(slot)];
  moved.older = -1;
  moved.newer = std::exchange(layer.oldest, slot);
  (moved.newer >= 0 ? layer.slots[static_cast<size_t>(moved.newer)].older : layer.newest) = slot;
}

}  // namespace minicpm
