// Memory that tensors and KV blocks lie in: the host's, or a device's, whose addresses the host
// must not follow. What is above the backends touches it by these functions and by ops only.
#pragma once

#include <cstddef>
#include <cstdint>

namespace minicpm {

/// Equally long pieces of memory, `pitch` bytes from the start of one to that of the next.
struct Pieces {
  size_t bytes;
  size_t count = 1;
  size_t pitch = 0;
};

/// Whatever moves bytes takes its turn among the ops that were started before and after it, whether
/// or not it has ended when the call returns. Thread-safe. All throw Error{kDevice} where the
/// device fails.
class Memory {
 public:
  virtual ~Memory() = default;

  /// It is memory of the host's: mapped files and arrays of the program can be given to ops too.
  virtual bool is_host() const = 0;

  /// Zeroed memory, at a multiple of 256 at least; Buffer owns what it returns. Throws
  /// Error{kOutOfMemory} naming the bytes asked for.
  virtual std::byte* allocate(size_t bytes) = 0;
  virtual void free(std::byte* data, size_t bytes) noexcept = 0;
  /// Bytes that can still be allocated.
  virtual int64_t free_bytes() = 0;

  /// `from`, of the host, may change once the call has returned.
  virtual void upload(void* to, const void* from, size_t bytes) = 0;
  /// `to`, of the host, has the bytes after the next `synchronize`, and must live until then.
  virtual void download(void* to, const void* from, size_t bytes) = 0;
  virtual void copy(void* to, const void* from, size_t bytes) = 0;
  virtual void zero(void* to, const Pieces& pieces) = 0;

  /// Returns when all that was started before has ended. Throws Error{kDevice} where any of it has
  /// failed.
  virtual void synchronize() = 0;
};

/// The host's, always there.
Memory& host_memory();

}  // namespace minicpm
