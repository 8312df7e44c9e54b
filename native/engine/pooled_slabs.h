// Where the pooled keys of KV blocks lie together: scoring reads those of a layer and head in all
// blocks, one after the other, so they should be neighbours in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/kv_layout.h"
#include "native/backend/buffer.h"

namespace minicpm {

constexpr int kSlabBlocks = 64;

/// Places for the pooled keys of one block each, 64 to a slab (KvLayout::pooled_run). Not
/// thread-safe.
class PooledSlabs {
 public:
  explicit PooledSlabs(const KvLayout& layout) : layout_(layout) {}

  /// The first that is free, zeroed: blocks that are taken one after the other are neighbours.
  /// Throws Error{kOutOfMemory}.
  std::byte* take();
  /// A slab whose places are all given back is freed.
  void give(const std::byte* place) noexcept;

  /// A block's pooled keys as they stand behind its heads, layout.pooled_bytes(), and back.
  void read(const std::byte* place, std::byte* to) const;
  void write(std::byte* place, const std::byte* from) const;
  /// From one place to another.
  void copy(const std::byte* from, std::byte* to) const;

 private:
  struct Slab {
    Buffer memory;
    uint64_t free;  // bit i: place i
  };

  void copy_rows(const std::byte* from, size_t from_pitch, std::byte* to, size_t to_pitch) const;

  const KvLayout layout_;
  std::vector<Slab> slabs_;
};

}  // namespace minicpm
