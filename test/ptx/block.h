// A launch, and one thread block of it with its shared memory.
#pragma once

#include <memory>

#include "test/ptx/counters.h"
#include "test/ptx/memory.h"
#include "test/ptx/warp.h"

namespace minicpm::ptx {

struct Size {
  unsigned x = 1, y = 1, z = 1;

  unsigned count() const { return x * y * z; }
};

struct LaunchShape {
  Size grid, block;
  unsigned dynamic_shared = 0;
};

/// How blocks and their warps take turns.
struct Schedule {
  bool descending = false;  // the last block and warp first
  unsigned resident = 1;    // blocks in flight together; locks between blocks need several
};

/// Runs all blocks. Throws Fault. `arguments` holds the parameters' bytes.
void run_kernel(const Kernel& kernel, const LaunchShape& shape,
                const std::vector<std::byte>& arguments, const Schedule& schedule);

enum class Access : uint8_t { read, write, change };

class Block {
 public:
  Block(const Kernel& kernel, const LaunchShape& shape, const std::vector<std::byte>& arguments,
        const Schedule& schedule);

  void start(unsigned index);
  /// One turn of every warp; true when the block has ended.
  bool advance();

  /// Where the bytes at an address are, after every check; written bytes are marked as such.
  std::byte* reach(const Warp& warp, Space space, uint64_t address, unsigned bytes, Access access);
  /// Shared memory that nobody may read until a copy lands.
  void forget_shared(uint32_t address, unsigned bytes);
  bool is_shared(Space space, uint64_t address) const {
    return space == Space::shared ||
           (space == Space::generic && address - kSharedWindow < kSharedWindowBytes);
  }

  const Kernel& kernel() const { return kernel_; }
  uint64_t special(Special special, unsigned thread) const;
  std::string name() const;

 private:
  std::byte* reach_shared(const Warp& warp, uint64_t offset, unsigned bytes, Access access);
  std::byte* reach_global(const Warp& warp, uint64_t address, unsigned bytes, Access access);
  void release_barrier();
  [[noreturn]] void deadlock() const;

  const Kernel& kernel_;
  const LaunchShape shape_;
  const Schedule schedule_;
  std::vector<std::byte> arguments_, shared_;
  std::vector<uint8_t> shared_written_;
  std::vector<std::unique_ptr<Warp>> warps_;
  Size index_;
  Allocation* last_ = nullptr;  // that was reached
};

}  // namespace minicpm::ptx
