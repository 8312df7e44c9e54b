// Buffer: zeroed, page-aligned memory that is counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace minicpm {

/// Owns `size` bytes, taken from and given back to the operating system.
class Buffer {
 public:
  Buffer() = default;
  /// Throws Error{kOutOfMemory} naming the bytes asked for.
  explicit Buffer(size_t size);
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Buffer();

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }

  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// Bytes held by all Buffers of this process.
int64_t buffer_bytes();

}  // namespace minicpm
