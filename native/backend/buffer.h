// Buffer: zeroed memory with an owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "native/backend/memory.h"

namespace minicpm {

/// Owns `size` bytes of a Memory, which outlives it; without one, of the host's.
class Buffer {
 public:
  Buffer() = default;
  /// Throws Error{kOutOfMemory} naming the bytes asked for.
  explicit Buffer(size_t size) : Buffer(host_memory(), size) {}
  Buffer(Memory& memory, size_t size)
      : memory_(&memory), data_(size == 0 ? nullptr : memory.allocate(size)), size_(size) {}
  Buffer(Buffer&& other) noexcept
      : memory_(other.memory_),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Buffer() {
    if (data_ != nullptr) memory_->free(data_, size_);
  }

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }

  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  Memory* memory_ = nullptr;
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// Bytes of the host's held by all Buffers of this process.
int64_t buffer_bytes();

}  // namespace minicpm
