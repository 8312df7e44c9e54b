// A batch as kernels see it: the segments of an op (kernels/kv_layout.h), row by row, in device
// memory, so that a captured graph finds other sequences and lengths there at every replay.
#pragma once

#include <cstddef>
#include <cstdint>

namespace minicpm::cuda {

struct BatchRow {
  std::byte* const* blocks;  // in device memory, as are the KV blocks that it lists
  int64_t position;          // of the row in its sequence; negative: the row is of no segment
};

struct Batch {
  const BatchRow* rows;  // device memory
  int count;
};

}  // namespace minicpm::cuda
