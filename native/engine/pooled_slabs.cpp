#include "native/engine/pooled_slabs.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace minicpm {

static_assert(kSlabBlocks == 64);  // bits of Slab::free

std::byte* PooledSlabs::take() {
  auto slab = std::ranges::find_if(slabs_, [](const Slab& one) { return one.free != 0; });
  if (slab == slabs_.end()) {
    slabs_.push_back({Buffer(kSlabBlocks * layout_.pooled_bytes()), ~uint64_t{0}});
    slab = slabs_.end() - 1;
  }
  const int index = std::countr_zero(slab->free);
  slab->free &= slab->free - 1;
  std::byte* place = slab->memory.data() + static_cast<size_t>(index) * layout_.pooled_row_bytes();
  for (int row = 0; row < layout_.pooled_rows(); ++row) {
    std::memset(place + layout_.pooled_row_at(row), 0, layout_.pooled_row_bytes());
  }
  return place;
}

void PooledSlabs::give(const std::byte* place) noexcept {
  const auto slab = std::ranges::find_if(slabs_, [&](const Slab& one) {
    return place >= one.memory.data() && place < one.memory.data() + one.memory.size();
  });
  const auto index = static_cast<size_t>(place - slab->memory.data()) / layout_.pooled_row_bytes();
  slab->free |= uint64_t{1} << index;
  if (slab->free == ~uint64_t{0}) slabs_.erase(slab);
}

void PooledSlabs::read(const std::byte* place, std::byte* to) const {
  copy_rows(place, layout_.pooled_row_at(1), to, layout_.pooled_row_bytes());
}

void PooledSlabs::write(std::byte* place, const std::byte* from) const {
  copy_rows(from, layout_.pooled_row_bytes(), place, layout_.pooled_row_at(1));
}

void PooledSlabs::copy(const std::byte* from, std::byte* to) const {
  copy_rows(from, layout_.pooled_row_at(1), to, layout_.pooled_row_at(1));
}

void PooledSlabs::copy_rows(const std::byte* from, size_t from_pitch, std::byte* to,
                            size_t to_pitch) const {
  for (int row = 0; row < layout_.pooled_rows(); ++row, from += from_pitch, to += to_pitch) {
    std::memcpy(to, from, layout_.pooled_row_bytes());
  }
}

}  // namespace minicpm
