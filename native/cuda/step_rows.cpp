#include "native/cuda/step_rows.h"

#include <algorithm>
#include <bit>

namespace minicpm::cuda {

void StepRows::write(const Step& step) {
  const auto rows = static_cast<size_t>(step.rows);
  reserve(rows, step.segments.size(), static_cast<size_t>(blocks_for(step.capacity)));
  places_.assign(rows, {nullptr, -1});
  for (size_t s = 0; s < step.segments.size(); ++s) {
    const Segment& segment = step.segments[s];
    std::byte* const* const table = tables_.as<std::byte*>() + s * most_blocks_;
    const auto blocks = static_cast<size_t>(blocks_for(segment.position + segment.count));
    const auto known = known_.begin() + static_cast<std::ptrdiff_t>(s * most_blocks_);
    const auto [from, to] = std::mismatch(segment.blocks, segment.blocks + blocks, known);
    const auto first = static_cast<size_t>(from - segment.blocks);
    memory_.upload(const_cast<std::byte**>(table + first), from,
                   (blocks - first) * sizeof(std::byte*));
    std::copy(from, segment.blocks + blocks, to);
    for (int i = 0; i < segment.count; ++i) {
      places_[static_cast<size_t>(segment.row + i)] = {table, int64_t{segment.position} + i};
    }
  }
  memory_.upload(rows_.data(), places_.data(), rows * sizeof(BatchRow));
  count_ = static_cast<int>(rows);
}

void StepRows::reserve(size_t rows, size_t tables, size_t blocks) {
  if (rows > most_rows_) {
    most_rows_ = std::bit_ceil(rows);
    rows_ = Buffer(memory_, most_rows_ * sizeof(BatchRow));
  }
  if (tables <= most_tables_ && blocks <= most_blocks_) return;
  most_tables_ = std::max(most_tables_, std::bit_ceil(tables));
  most_blocks_ = std::max(most_blocks_, blocks);
  tables_ = Buffer(memory_, most_tables_ * most_blocks_ * sizeof(std::byte*));
  known_.assign(most_tables_ * most_blocks_, nullptr);
}

int64_t StepRows::bytes(const ScratchShape& shape) {
  constexpr int64_t kTables = 16;
  return shape.rows * static_cast<int64_t>(sizeof(BatchRow)) +
         kTables * blocks_for(shape.capacity) * static_cast<int64_t>(sizeof(std::byte*));
}

}  // namespace minicpm::cuda
