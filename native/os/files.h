// Files that are written whole: private, locked, and never seen half-done.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

namespace minicpm::os {

/// An open file; closed with the object. Calls return false where the system refuses, `error()`
/// says why.
class File {
 public:
  /// An existing regular file, to read. Symbolic links are not followed.
  static File open(const std::string& path);
  /// A new file, for its owner only (0600), to write.
  static File create(const std::string& path);

  File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  File& operator=(File&&) = delete;
  ~File();

  /// A new file without a name in `folder`, to read and write: gone with the object, and with the
  /// process however it ends.
  static File unnamed(const std::string& folder);

  bool ok() const { return descriptor_ >= 0; }
  int64_t size() const;
  /// Fills `bytes` from where the last read ended; false at the end of the file too.
  bool read(std::span<std::byte> bytes);
  bool write(std::span<const std::byte> bytes);

  /// Takes the disk's room for [offset, offset + bytes): writing there does not fill a disk later.
  bool allocate(int64_t offset, int64_t bytes);
  bool read_at(int64_t offset, std::span<std::byte> bytes) const;
  bool write_at(int64_t offset, std::span<const std::byte> bytes);
  /// Has the system begin to read what read_at will ask for soon.
  void will_read(int64_t offset, int64_t bytes) const;

 private:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

/// The reason of this thread's last failure, in words.
std::string last_error();

/// Makes the folder and those above it, new ones for their owner only (0700).
bool make_private_folders(const std::string& path);

/// Holds a lock that other processes' FileLocks of the same path wait for; given up with the
/// object, and with the process however it ends.
class FileLock {
 public:
  explicit FileLock(const std::string& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  bool ok() const { return descriptor_ >= 0; }

 private:
  int descriptor_;
};

int process_id();
bool process_lives(int id);

}  // namespace minicpm::os
