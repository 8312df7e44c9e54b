#include "kernels/simt/checker.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string_view>

#include "kernels/simt/machine.h"
#include "kernels/simt/memory.h"

extern "C" {
// The first and the last byte of this program or library, by the linker.
extern char __ehdr_start __attribute__((visibility("hidden")));
extern char _end __attribute__((visibility("hidden")));
}

namespace minicpm::simt {

std::vector<Finding> findings;
bool checking = false;

namespace {

/// Who touched a byte, and when.
struct Stamp {
  uint64_t clock : 34;  // as small as a Content: that, and no thread
  uint64_t thread : 10;
  uint64_t block : 19;
  uint64_t flag : 1;  // a write: atomic; a read: several warps have read
};
constexpr unsigned kSeveralBlocks = (1 << 19) - 1;  // block of a read: blocks beside each other

/// What is known of one byte.
struct Cell {
  Stamp written;
  Stamp read;        // the latest since then
  uint32_t readers;  // lanes of the reading warp, where it is one
  uint32_t place;    // of the write
};

constexpr Stamp stamp_of(Content content) {
  return {static_cast<uint64_t>(content), 0, 0, 0};
}
bool holds(Stamp stamp, Content content) {
  return stamp.clock == static_cast<uint64_t>(content);
}
bool by_thread(Stamp stamp) {
  return stamp.clock > static_cast<uint64_t>(Content::from_host);
}
Stamp stamp_of(const Thread& t) {
  return {t.clock, t.linear, t.block->linear, 0};
}

/// Cells by chunks of device memory, made when the first byte of a chunk is allocated.
constexpr size_t kChunk = 1 << 16;
std::unique_ptr<Cell[]> chunks[kRegionBytes / kChunk];

Cell& cell(size_t offset) {
  static Cell nothing{};  // unallocated
  Cell* chunk = chunks[offset / kChunk].get();
  return chunk ? chunk[offset % kChunk] : nothing;
}

bool before_launch(Stamp stamp) {
  return stamp.clock < launch_start;
}

/// The access happened before whatever thread `t` does now.
bool ordered(Stamp stamp, const Thread& t) {
  if (before_launch(stamp)) return true;
  if (stamp.block != t.block->linear) return false;
  if (stamp.thread == t.linear || stamp.clock < t.block->last_barrier) return true;
  return stamp.thread / kLanes == t.linear / kLanes && stamp.clock <= t.seen[stamp.thread % kLanes];
}

/// The same of all reads that a cell knows of, but for the thread's own.
bool reads_ordered(const Cell& c, const Thread& t) {
  if (before_launch(c.read)) return true;
  if (c.read.block != t.block->linear) return false;
  if (c.read.clock < t.block->last_barrier) return true;
  if (c.read.flag || c.read.thread / kLanes != t.linear / kLanes) return false;
  for (unsigned lane = 0; lane < kLanes; lane++) {
    if (lane != t.lane && c.readers >> lane & 1 && c.read.clock > t.seen[lane]) return false;
  }
  return true;
}

void note_read(Cell& c, const Thread& t) {
  const Stamp old = c.read, mine = stamp_of(t);
  const uint32_t lane = uint32_t{1} << t.lane;
  const bool same_block = old.block == mine.block;
  const bool same_warp = same_block && !old.flag && old.thread / kLanes == mine.thread / kLanes;
  if (before_launch(old) || (same_block && old.clock < t.block->last_barrier) ||
      (same_warp && old.clock < t.clock && reads_ordered(c, t))) {
    c.read = mine;
    c.readers = lane;
    return;
  }
  c.read = mine;
  c.read.clock = std::max<uint64_t>(old.clock, mine.clock);
  if (same_warp) {
    c.readers |= lane;
  } else {
    c.read.flag = 1;
    if (!same_block) c.read.block = kSeveralBlocks;
  }
}

void note_write(Cell& c, const Thread& t, bool atomic, uint32_t place) {
  c.written = stamp_of(t);
  c.written.flag = atomic;
  c.read = {};
  c.place = place;
}

/// Memory of the host that device code may use: its stack, its arguments, its indices, the
/// program's constants.
bool host_memory_of(const Thread& t, const void* address) {
  const auto within = [address](const void* first, const void* end) {
    return first <= address && address < end;
  };
  const auto* closure = static_cast<const std::byte*>(entry.closure);
  return within(t.stack, t.stack_end) || within(closure, closure + entry.closure_bytes) ||
         within(&t, &t + 1) || within(t.block, t.block + 1) || within(&__ehdr_start, &_end);
}

const char* sentence(Fault fault) {
  switch (fault) {
    case Fault::read_after_write:
      return "race: read of what another thread wrote, with nothing between";
    case Fault::write_after_write:
      return "race: write over what another thread wrote, with nothing between";
    case Fault::write_after_read:
      return "race: write over what another thread read, with nothing between";
    case Fault::out_of_bounds_read:
      return "out-of-bounds read";
    case Fault::out_of_bounds_write:
      return "out-of-bounds write";
    case Fault::uninitialised_read:
      return "read of uninitialised memory";
    case Fault::misaligned:
      return "misaligned access";
    case Fault::outside_device_memory:
      return "access outside device memory";
    case Fault::device_memory_from_host:
      return "host code accesses device memory";
    case Fault::stack_overflow:
      return "a thread used up its stack";
    case Fault::barrier_after_exit:
      return "threads left the kernel while others wait at __syncthreads";
    case Fault::deadlock:
      return "deadlock: threads of one block wait in different places";
    case Fault::not_in_mask:
      return "a lane calls a warp operation whose mask lacks it";
    case Fault::mask_names_exited:
      return "a warp operation's mask names lanes that left the kernel";
    case Fault::different_operations:
      return "lanes of one warp wait in different warp operations";
    case Fault::partial_warp:
      return "a matrix operation without all lanes of the warp";
    case Fault::copies_in_flight:
      return "a thread ends with cp.async in flight";
    case Fault::not_shared_memory:
      return "an address that must be of shared memory is not";
  }
  return "";
}

std::string hexadecimal(uint32_t number) {
  char digits[16];
  std::snprintf(digits, sizeof digits, "0x%x", number);
  return digits;
}

/// "file:line" of an offset in the code; empty where addr2line knows nothing.
std::string source_line(uint32_t place) {
  std::error_code failed;
  const std::string program = std::filesystem::read_symlink("/proc/self/exe", failed).string();
  const std::string command =
      "addr2line -is -e '" + program + "' " + hexadecimal(place - 1) + " 2>/dev/null";
  FILE* output = popen(command.c_str(), "r");
  if (output == nullptr) return "";
  std::string line;
  char buffer[512];
  while (std::fgets(buffer, sizeof buffer, output)) {
    // Of what was inlined into one another, the innermost that is the kernel's own.
    const std::string_view candidate(buffer);
    const bool ours = candidate.starts_with("builtins.h") || candidate.starts_with("machine.h") ||
                      candidate.starts_with("port.h");
    if (line.empty() || !ours) line = candidate.substr(0, candidate.find_first_of(" \n"));
    if (!ours) break;
  }
  pclose(output);
  return line;
}

}  // namespace

uint32_t code_offset(const void* place) {
  return place ? static_cast<uint32_t>(static_cast<const char*>(place) - &__ehdr_start) : 0;
}

void found(Fault fault, const void* address, size_t bytes, uint32_t place, uint32_t other_place) {
  for (Finding& finding : findings) {
    if (finding.fault == fault && finding.place == place) {
      finding.count++;
      return;
    }
  }
  const uint3 none{};
  findings.push_back({fault, current ? current->block->index : none,
                      current ? current->index : none, address, bytes, place, other_place, 1});
}

void found(Fault fault, const void* place) {
  found(fault, nullptr, 0, code_offset(place), 0);
}

std::string Finding::text() const {
  std::string text = sentence(fault);
  if (place) text += ", at " + source_line(place);
  if (other_place) text += ", the other side at " + source_line(other_place);
  char rest[160];
  std::snprintf(rest, sizeof rest, " (block %u %u %u, thread %u %u %u, %zu bytes, %d times)",
                block.x, block.y, block.z, thread.x, thread.y, thread.z, bytes, count);
  return text + rest;
}

void mark(const void* address, size_t bytes, Content content) {
  if (!checking) return;
  const size_t first = region_offset(address);
  for (size_t offset = first; offset < first + bytes; offset++) {
    std::unique_ptr<Cell[]>& chunk = chunks[offset / kChunk];
    if (chunk == nullptr) chunk = std::make_unique<Cell[]>(kChunk);
    chunk[offset % kChunk] = {stamp_of(content), {}, 0, 0};
  }
}

void mark_written(const void* address, size_t bytes, const void* place) {
  if (!checking) return;
  const size_t first = region_offset(address);
  for (size_t offset = first; offset < first + bytes; offset++) {
    note_write(cell(offset), *current, false, code_offset(place));
  }
}

void check_alignment(const void* address, size_t bytes, const void* place) {
  if (reinterpret_cast<uintptr_t>(address) % bytes != 0) {
    found(Fault::misaligned, address, bytes, code_offset(place), 0);
  }
}

void check_access(const void* address, size_t bytes, Access access, const void* return_address) {
  if (!checking) return;
  const size_t first = region_offset(address);
  if (first >= kRegionBytes) {
    if (current && !host_memory_of(*current, address)) {
      found(Fault::outside_device_memory, address, bytes, code_offset(return_address), 0);
    }
    return;
  }
  const uint32_t place = code_offset(return_address);
  if (current == nullptr) return found(Fault::device_memory_from_host, address, bytes, place, 0);
  if (bytes <= 16) check_alignment(address, bytes, return_address);
  const bool writes = access != Access::read, atomic = access == Access::atomic;
  const Thread& t = *current;
  const size_t end = std::min(first + bytes, kRegionBytes);
  bool reported = false;
  const auto report = [&](Fault fault, uint32_t other_place) {
    if (!reported) found(fault, address, bytes, place, other_place);
    reported = true;
  };
  for (size_t offset = first; offset < end; offset++) {
    Cell& c = cell(offset);
    if (holds(c.written, Content::unallocated)) {
      return found(writes ? Fault::out_of_bounds_write : Fault::out_of_bounds_read, address, bytes,
                   place, 0);
    }
    if (holds(c.written, Content::uninitialised) && access != Access::write) {
      report(Fault::uninitialised_read, 0);
      c.written = stamp_of(Content::from_host);  // one finding is enough
    }
    if (by_thread(c.written) && !ordered(c.written, t) && !(atomic && c.written.flag)) {
      report(writes ? Fault::write_after_write : Fault::read_after_write, c.place);
    }
    if (!writes) {
      note_read(c, t);
      continue;
    }
    if (!reads_ordered(c, t)) report(Fault::write_after_read, 0);
    note_write(c, t, atomic, place);
  }
}

}  // namespace minicpm::simt
