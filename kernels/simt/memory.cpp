#include "kernels/simt/memory.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <new>

#include "kernels/simt/checker.h"

namespace minicpm::simt {

namespace {

constexpr int kPoison = 0xff;
constexpr size_t kAlignment = 256;  // as cudaMalloc's
constexpr size_t kGap = 128;        // between allocations, so that overruns meet nobody's bytes

std::byte* region() {
  // Pages come when they are written.
  static auto* bytes = static_cast<std::byte*>(std::aligned_alloc(kAlignment, kRegionBytes));
  if (bytes == nullptr) throw std::bad_alloc();
  return bytes;
}

struct Heap {
  size_t top = kHeapOffset;
  size_t in_use = 0;
  std::map<void*, size_t> sizes;
  std::multimap<size_t, void*> freed;  // by the room they take
};

Heap& heap() {
  static Heap instance;
  return instance;
}

size_t room_for(size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment + 2 * kGap;
}

}  // namespace

size_t region_offset(const void* address) {
  return static_cast<size_t>(static_cast<const std::byte*>(address) - region());
}

std::byte* region_address(size_t offset) {
  return region() + offset;
}

void* device_allocate(size_t bytes) {
  Heap& h = heap();
  const size_t room = room_for(bytes);
  void* address = nullptr;
  if (const auto found = h.freed.find(room); found != h.freed.end()) {
    address = found->second;
    h.freed.erase(found);
  } else {
    if (room > kRegionBytes - h.top) return nullptr;
    address = region_address(h.top);
    h.top += room;
  }
  h.sizes[address] = bytes;
  h.in_use += bytes;
  std::memset(address, kPoison, bytes);
  mark(address, bytes, Content::uninitialised);
  return address;
}

void device_free(void* address) {
  Heap& h = heap();
  const auto found = h.sizes.find(address);
  if (found == h.sizes.end()) return;
  const size_t bytes = found->second;
  mark(address, bytes, Content::unallocated);
  std::memset(address, kPoison, bytes);
  h.freed.emplace(room_for(bytes), address);
  h.in_use -= bytes;
  h.sizes.erase(found);
}

void device_copy(void* to, const void* from, size_t bytes) {
  std::memcpy(to, from, bytes);
  if (region_offset(to) < kRegionBytes) mark(to, bytes, Content::from_host);
}

void device_fill(void* to, int byte, size_t bytes) {
  std::memset(to, byte, bytes);
  mark(to, bytes, Content::from_host);
}

size_t device_bytes_in_use() {
  return heap().in_use;
}

}  // namespace minicpm::simt
