#include "native/model/kv_cache.h"

#include <cstring>

#include "kernels/error.h"
#include "native/os/os.h"

namespace minicpm {

void KvPool::reserve(int64_t blocks) {
  const std::lock_guard lock(mutex_);
  const auto block_bytes = static_cast<int64_t>(layout_.block_bytes());
  const int64_t needed = (promised_ + blocks) * block_bytes;
  const int64_t free = os::memory().free;
  if (needed > free) {
    const std::string remedy = "Use a smaller contextLength or kvType, or close other sessions.";
    throw Error(ErrorCode::kOutOfMemory,
                std::to_string(needed) + " bytes of KV blocks are needed, " + std::to_string(free) +
                    " are free. " + remedy,
                {std::to_string(needed), std::to_string(free), remedy});
  }
  promised_ += blocks;
}

void KvPool::release(int64_t blocks_not_taken) {
  const std::lock_guard lock(mutex_);
  promised_ -= blocks_not_taken;
}

Buffer KvPool::take() {
  Buffer block(layout_.block_bytes());
  const std::lock_guard lock(mutex_);
  --promised_;
  return block;
}

KvCache::KvCache(KvPool& pool, int64_t capacity) : pool_(pool), reserved_(blocks_for(capacity)) {
  pool_.reserve(reserved_);
  buffers_.reserve(static_cast<size_t>(reserved_));
  pointers_.reserve(static_cast<size_t>(reserved_));
}

KvCache::~KvCache() {
  pool_.release(reserved_ - static_cast<int64_t>(buffers_.size()));
}

void KvCache::grow(int64_t length) {
  while (static_cast<int64_t>(buffers_.size()) < blocks_for(length)) {
    buffers_.push_back(pool_.take());
    pointers_.push_back(buffers_.back().data());
  }
}

void KvCache::truncate(int64_t length) {
  const auto kept = static_cast<size_t>(blocks_for(length));
  if (kept < buffers_.size()) {
    pool_.release(-static_cast<int64_t>(buffers_.size() - kept));
    buffers_.resize(kept);
    pointers_.resize(kept);
  }
  const int begin = static_cast<int>(length % kBlockTokens);
  if (begin == 0) return;

  const KvLayout& layout = pool_.layout();
  const size_t size = size_of(layout.dtype);
  for (int layer = 0; layer < layout.layers; ++layer) {
    for (int head = 0; head < layout.kv_heads; ++head) {
      std::byte* k = pointers_.back() + layout.k_offset(layer, head);
      for (int slot = begin; slot < kBlockTokens; ++slot) {
        for (int dim = 0; dim < layout.head_dim; ++dim) {
          std::memset(k + layout.k_index(slot, dim) * size, 0, size);
        }
      }
      std::byte* v = pointers_.back() + layout.v_offset(layer, head);
      std::memset(v + layout.v_index(begin, 0) * size, 0,
                  layout.v_index(kBlockTokens - begin, 0) * size);
    }
  }
}

}  // namespace minicpm
