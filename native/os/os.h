// Every call to the operating system that is not in the C++ library. One implementation file a
// system.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace minicpm::os {

/// Zeroed pages, page-aligned; null when there are none.
std::byte* allocate_pages(size_t bytes);
void free_pages(std::byte* data, size_t bytes);

/// Gives the memory of whole pages in [data, data + bytes) back to the system; the addresses stay
/// ours, and what is read there before it is written again is zero.
void forget_pages(std::byte* data, size_t bytes);

/// Keeps pages small, so that forget_pages frees what it is given.
void prefer_small_pages(std::byte* data, size_t bytes);

/// Asks for pages of 2 MiB below memory that will all be written: streams through it then lose
/// nothing to the translation of addresses (weights read at 48 instead of 40 GB/s on Zen 4).
void prefer_large_pages(std::byte* data, size_t bytes);

/// A whole file, mapped read-only and private. Throws Error{kCheckpoint} naming the path and the
/// reason.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }

  /// Lets the system drop the pages of [offset, offset + bytes) that were read; they are read again
  /// on use.
  void forget(size_t offset, size_t bytes) const;

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// Bytes in all MappedFiles of this process.
int64_t mapped_bytes();

/// Cores, not hardware threads, this process may run on.
int physical_cores();

/// Bytes that can be allocated before the system swaps or refuses; total bytes of memory.
/// Containers' limits count.
struct Memory {
  int64_t free;
  int64_t total;
};
Memory memory();

/// The address of `name` in a shared library, which is opened and stays so; null where there is
/// none, with the reason in `why`.
void* find_in_library(const std::string& path, const char* name, std::string& why);

/// The processor's name as the system reports it.
std::string cpu_name();

}  // namespace minicpm::os
