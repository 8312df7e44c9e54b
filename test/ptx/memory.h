// The stand-in device's memory. Addresses lie in a range that the host cannot touch, are never
// used twice, and have gaps between them, so what reads beside an allocation or after its end is
// found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace minicpm::ptx {

/// What kernels moved to or from an allocation, as the memory system sees it.
struct Traffic {
  uint64_t loaded_bytes = 0;    // that lanes asked for
  uint64_t vector_bytes = 0;    // of them by loads of 16 bytes
  uint64_t loaded_sectors = 0;  // of 32 bytes, those of one instruction counted once
  uint64_t stored_bytes = 0, stored_sectors = 0;
};

struct Allocation {
  uint64_t address;
  size_t size;
  std::vector<std::byte> bytes;
  std::vector<uint8_t> written;  // a flag a byte
  Traffic traffic;
  bool freed = false;

  bool holds(uint64_t at, size_t count) const {
    return at >= address && at - address <= size && count <= size - (at - address);
  }
};

class DeviceMemory {
 public:
  /// Null where `limit` bytes in use would be exceeded.
  Allocation* allocate(size_t size);
  /// False where no allocation starts there.
  bool free(uint64_t address);
  void free_all();

  /// The allocation that the address lies in, freed ones too; null where there is none.
  Allocation* at(uint64_t address);
  /// Why no `count` bytes can be reached at `address`, in words.
  std::string complaint(uint64_t address, size_t count);

  size_t in_use() const { return in_use_; }
  size_t allocations() const;
  const std::map<uint64_t, Allocation>& all() const { return all_; }
  size_t limit = size_t{8} << 30;

 private:
  std::map<uint64_t, Allocation> all_;
  size_t in_use_ = 0;
  uint64_t next_ = 0;
};

/// The one device's.
DeviceMemory& device_memory();

}  // namespace minicpm::ptx
