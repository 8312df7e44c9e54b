// The KV blocks of one sequence, zeroed and page-aligned as the engine's are.
#pragma once

#include "native/backend/buffer.h"
#include "test/kernels/tensors.h"

namespace minicpm::test {

class KvBlocks {
 public:
  KvBlocks(const KvLayout& layout, int capacity)
      : layout_(layout),
        count_(static_cast<size_t>((capacity + kBlockTokens - 1) / kBlockTokens)),
        memory_(count_ * layout.block_bytes()) {
    for (size_t b = 0; b < count_; b++) {
      blocks_.push_back(memory_.data() + b * layout.block_bytes());
    }
  }

  std::byte* const* blocks() const { return blocks_.data(); }
  size_t bytes() const { return memory_.size(); }

  /// All of it, as bytes that can be compared.
  Tensor tensor() const {
    return {memory_.data(), DType::f16, 1, static_cast<int64_t>(memory_.size() / 2)};
  }

  /// Appends rows of k and v to layer `layer`, from `position` on, by the definition.
  void append(Array& k, Array& v, int layer, int position) {
    const Segment segment{0, static_cast<int>(k.tensor().rows), position, blocks()};
    reference::kv_append({k.tensor(), v.tensor(), {&segment, 1}, layout_, layer});
    if (layout_.pooled) reference::pool_keys({{&segment, 1}, layout_, layer});
  }

 private:
  KvLayout layout_;
  size_t count_;
  Buffer memory_;
  std::vector<std::byte*> blocks_;
};

}  // namespace minicpm::test
