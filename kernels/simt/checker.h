// What a kernel must not do, found while it runs: races, accesses outside what is allocated, reads
// of what nobody wrote, misuse of barriers and warp operations.
//
// Kernels are compiled with -fsanitize=thread, which puts a call before each access to memory; the
// functions called are ours (hooks.cpp), the sanitizer's library is not linked. For every byte of
// device memory there is a record of who wrote it last and who read it since. Two accesses, one of
// them a write, are a race unless something orders them: __syncthreads, __syncwarp, the end of the
// launch, or both being atomic. Shuffles and votes order nothing, as on the device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/simt/cuda_types.h"

namespace minicpm::simt {

enum class Fault : uint8_t {
  read_after_write,
  write_after_write,
  write_after_read,
  out_of_bounds_read,
  out_of_bounds_write,
  uninitialised_read,
  misaligned,
  outside_device_memory,
  device_memory_from_host,
  stack_overflow,
  barrier_after_exit,
  deadlock,
  not_in_mask,
  mask_names_exited,
  different_operations,
  partial_warp,
  copies_in_flight,
  not_shared_memory,
};

struct Finding {
  Fault fault;
  uint3 block, thread;  // the first to do it
  const void* address;
  size_t bytes;
  uint32_t place, other_place;  // in the program's code, 0: none; the other side's of a race
  int count;

  /// A sentence with the source lines of both sides, where addr2line is at hand.
  std::string text() const;
};

/// One for each fault and place in the code.
extern std::vector<Finding> findings;

/// Whether the program has kernels compiled for it.
extern bool checking;

enum class Access : uint8_t { read, write, atomic };

/// The running thread accesses memory; `place` is the return address in its code.
void check_access(const void* address, size_t bytes, Access access, const void* place);

/// Alignment to the access's own size.
void check_alignment(const void* address, size_t bytes, const void* place);

void found(Fault fault, const void* address, size_t bytes, uint32_t place, uint32_t other_place);
void found(Fault fault, const void* place);

/// `place` as an offset from the program's first byte.
uint32_t code_offset(const void* place);

/// What device memory holds where no thread wrote it.
enum class Content : uint8_t { unallocated, uninitialised, from_host };
void mark(const void* address, size_t bytes, Content content);

/// The bytes count as written by the running thread, now.
void mark_written(const void* address, size_t bytes, const void* place);

}  // namespace minicpm::simt
