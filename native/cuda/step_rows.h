// Where the rows of a step stand, in device memory (kernels/cuda/batch.h): at the same addresses
// step after step, so that a captured graph finds them.
#pragma once

#include <vector>

#include "kernels/cuda/batch.h"
#include "native/backend/backend.h"
#include "native/backend/plugin.h"

namespace minicpm::cuda {

class StepRows {
 public:
  explicit StepRows(Memory& memory) : memory_(memory) {}

  /// Uploads what has changed since the last step.
  void write(const Step& step);
  Batch batch() const { return {rows_.as<BatchRow>(), count_}; }

  static int64_t bytes(const ScratchShape& shape);

 private:
  void reserve(size_t rows, size_t tables, size_t blocks);

  Memory& memory_;
  Buffer rows_;    // [rows]
  Buffer tables_;  // [tables][blocks]: addresses of a segment's KV blocks
  int count_ = 0;
  size_t most_rows_ = 0, most_tables_ = 0, most_blocks_ = 0;
  std::vector<BatchRow> places_;
  std::vector<const std::byte*> known_;  // what the tables hold
};

}  // namespace minicpm::cuda
