// The emulated device's memory: one region of addresses, so that an access is classified by one
// subtraction. Shared memory of the blocks in flight comes first, then the heap.
#pragma once

#include <cstddef>
#include <cstdint>

namespace minicpm::simt {

constexpr size_t kRegionBytes = size_t{1} << 30;

// Of a thread block. A kernel may have what the smallest target has (sm_89 and sm_120: 99 KB), as
// static shared memory 48 KB.
constexpr size_t kMostStaticShared = 48 << 10;
constexpr size_t kMostShared = 99 << 10;
constexpr size_t kSharedArena = 256 << 10;  // its addresses: static, then dynamic, with gaps
constexpr unsigned kMostResident = 64;      // thread blocks in flight together
constexpr size_t kHeapOffset = kMostResident * kSharedArena;

/// Offset into the region; kRegionBytes or more for memory of the host.
size_t region_offset(const void* address);
std::byte* region_address(size_t offset);

constexpr bool is_shared(size_t offset) {
  return offset < kHeapOffset;
}

/// What cudaMalloc, cudaFree, cudaMemcpy and cudaMemset are. New and freed memory is 0xff bytes:
/// NaN in every float format. Null where the heap is used up.
void* device_allocate(size_t bytes);
void device_free(void* address);
void device_copy(void* to, const void* from, size_t bytes);
void device_fill(void* to, int byte, size_t bytes);

/// Bytes allocated and not freed.
size_t device_bytes_in_use();

}  // namespace minicpm::simt
