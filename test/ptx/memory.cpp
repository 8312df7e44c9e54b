#include "test/ptx/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

namespace minicpm::ptx {

namespace {

constexpr size_t kRange = size_t{1} << 40;
constexpr size_t kAlignment = 256;  // as cudaMalloc's
constexpr size_t kGap = 512;

uint64_t reserve() {
  void* range =
      mmap(nullptr, kRange, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (range == MAP_FAILED) throw std::bad_alloc();
  return reinterpret_cast<uint64_t>(range);
}

uint64_t range_start() {
  static const uint64_t start = reserve();
  return start;
}

}  // namespace

DeviceMemory& device_memory() {
  static DeviceMemory& memory = *new DeviceMemory;  // outlives what static destructors free
  return memory;
}

Allocation* DeviceMemory::allocate(size_t size) {
  if (size > limit || in_use_ > limit - size) return nullptr;
  if (next_ == 0) next_ = range_start();
  if (size > range_start() + kRange - kGap - next_) return nullptr;
  const uint64_t address = next_;
  next_ += (size + kGap + kAlignment - 1) / kAlignment * kAlignment;
  in_use_ += size;
  Allocation made{
      address, size, std::vector<std::byte>(size, std::byte{0xff}), std::vector<uint8_t>(size), {}};
  return &all_.emplace(address, std::move(made)).first->second;
}

bool DeviceMemory::free(uint64_t address) {
  const auto found = all_.find(address);
  if (found == all_.end() || found->second.freed) return false;
  Allocation& allocation = found->second;
  in_use_ -= allocation.size;
  allocation.freed = true;
  allocation.bytes = {};
  allocation.written = {};
  return true;
}

void DeviceMemory::free_all() {
  for (auto& [address, allocation] : all_) free(address);
}

Allocation* DeviceMemory::at(uint64_t address) {
  auto next = all_.upper_bound(address);
  if (next == all_.begin()) return nullptr;
  Allocation& allocation = std::prev(next)->second;
  return allocation.holds(address, 0) ? &allocation : nullptr;
}

size_t DeviceMemory::allocations() const {
  return static_cast<size_t>(std::count_if(all_.begin(), all_.end(),
                                           [](const auto& entry) { return !entry.second.freed; }));
}

std::string DeviceMemory::complaint(uint64_t address, size_t count) {
  const std::string what = std::to_string(count) + " bytes ";
  if (const Allocation* allocation = at(address)) {
    return what + (allocation->freed ? "of freed memory, " : "") + "at byte " +
           std::to_string(address - allocation->address) + " of an allocation of " +
           std::to_string(allocation->size);
  }
  const uint64_t start = range_start();
  if (address < start || address >= start + kRange) return what + "that are not device memory";
  return what + "in no allocation";
}

}  // namespace minicpm::ptx
