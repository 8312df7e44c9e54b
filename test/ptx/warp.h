// 32 threads of a block, each with its own program counter. Those with the lowest one run together,
// so that threads meet again behind a branch; operations of several lanes wait for all of them.
#pragma once

#include <bit>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "test/ptx/forms.h"
#include "test/ptx/program.h"

namespace minicpm::ptx {

class Block;

constexpr unsigned kLanes = 32;
constexpr uint32_t kAllLanes = ~0u;
constexpr uint64_t kSharedWindow = uint64_t{1} << 56;  // of generic addresses
constexpr uint64_t kSharedWindowBytes = uint64_t{1} << 24;

/// What a kernel may not do: the kernel, the PTX line, the block and why.
class Fault : public std::runtime_error {
 public:
  enum class Kind : uint8_t { illegal_address, misaligned_address, failure };
  Fault(Kind kind, const std::string& text) : std::runtime_error(text), kind(kind) {}
  const Kind kind;
};

template <typename Action>
void for_lanes(uint32_t mask, Action action) {
  if (mask == kAllLanes) {
    for (unsigned lane = 0; lane < kLanes; lane++) action(lane);
    return;
  }
  for (; mask; mask &= mask - 1) action(static_cast<unsigned>(std::countr_zero(mask)));
}

/// A cp.async that has not landed.
struct AsyncCopy {
  uint32_t to;  // in shared memory
  uint64_t from;
  uint32_t bytes, source_bytes;
  uint32_t group;
};

class Warp {
 public:
  Warp(Block& block, unsigned index);

  /// Begins the kernel with the first `threads` lanes.
  void start(unsigned threads);
  /// Runs until every lane waits or has ended, or others should have a turn. False: nothing moved.
  bool advance();

  uint64_t* row(int row) { return &registers_[static_cast<size_t>(row) * kLanes]; }
  Block& block() const { return block_; }
  uint32_t live() const { return live_; }
  uint32_t at_barrier() const { return at_barrier_; }
  /// Lanes at a barrier with a predicate that is true.
  unsigned votes() const;
  /// All threads have come, `yes` of `all` of them with a true predicate.
  void pass_barrier(unsigned yes, unsigned all);
  /// Adds the lines of the instructions that lanes wait at.
  void add_places(std::vector<int>& lines) const;
  int barrier_line(unsigned lane) const { return barrier_[lane]->line; }

  /// All live lanes of `mask` are here. If not, the instruction's Outcome is `waits`.
  bool together(uint32_t active, uint32_t mask);
  [[noreturn]] void fault(const std::string& why, Fault::Kind kind = Fault::Kind::failure) const;

  // Of each lane:
  std::vector<AsyncCopy> copies[kLanes];
  uint32_t copy_groups[kLanes];
  void land_copies(unsigned lane, uint32_t keep_groups);

 private:
  /// Lets the lanes of `group`, which all stand at `at`, run until they part, wait or meet others.
  bool run_group(uint32_t group, int at, int& budget);
  void place_lanes(uint32_t lanes, int at);
  void end_lanes(uint32_t lanes);
  int next_stop(uint32_t group, int at) const;

  Block& block_;
  const unsigned index_;
  std::vector<uint64_t> registers_;
  int at_[kLanes];
  const Instruction* barrier_[kLanes];  // that a lane waits at
  uint32_t live_ = 0, at_barrier_ = 0;
  uint32_t waiting_ = 0;  // at an operation of several lanes
  const Instruction* running_ = nullptr;
};

}  // namespace minicpm::ptx
