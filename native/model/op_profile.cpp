#include "native/model/op_profile.h"

#include <algorithm>
#include <bit>

namespace minicpm {
namespace {

/// Rows that attention takes through a block together: a unit of kernels/cpu/attention_units.h.
constexpr int kUnitRows = 8;

/// Blocks that any of `rows` rows from `row` on of a segment goes through.
int64_t blocks_read(const Attention& op, const Segment& segment, int row, int rows, int kv_head) {
  const int64_t seen = blocks_for(int64_t{segment.position} + row + rows);
  if (op.selected.words == nullptr) return seen;
  int64_t count = 0;
  for (int64_t word = 0; word * 64 < seen; ++word) {
    uint64_t any = 0;
    for (int i = 0; i < rows; ++i) {
      const int64_t mask = (int64_t{segment.row} + row + i) * op.layout.kv_heads + kv_head;
      any |= op.selected.words[mask * op.selected.stride + word];
    }
    if (const int64_t left = seen - word * 64; left < 64) any &= (uint64_t{1} << left) - 1;
    count += std::popcount(any);
  }
  return count;
}

/// Of one block's keys and values of one head, with their scales and without padding.
int64_t head_block_bytes(const KvLayout& layout) {
  const auto numbers = static_cast<int64_t>(kBlockTokens) * layout.head_dim;
  const int64_t scales = layout.dtype == DType::i8 ? kBlockTokens * int64_t{sizeof(float)} : 0;
  return 2 * (numbers * static_cast<int64_t>(size_of(layout.dtype)) + scales);
}

}  // namespace

std::string_view name_of(OpKind kind) {
  constexpr std::array<std::string_view, kOpKinds> names{
      "embed",     "rms_norm",     "linear",        "quantize_rows", "rope",    "kv_append",
      "pool_keys", "score_blocks", "select_blocks", "attention",     "silu_mul"};
  return names[static_cast<size_t>(kind)];
}

int64_t bytes_read(const Linears& op) {
  int64_t bytes = 0;
  for (int i = 0; i < op.count; ++i) bytes += static_cast<int64_t>(op.parts[i].weight.bytes());
  return bytes;
}

int64_t bytes_read(const Attention& op) {
  int64_t blocks = 0;
  for (const Segment& segment : op.segments) {
    for (int row = 0; row < segment.count; row += kUnitRows) {
      const int rows = std::min(kUnitRows, segment.count - row);
      for (int head = 0; head < op.layout.kv_heads; ++head) {
        blocks += blocks_read(op, segment, row, rows, head);
      }
    }
  }
  return blocks * head_block_bytes(op.layout);
}

int64_t bytes_read(const ScoreBlocks& op) {
  int64_t pooled = 0;
  for (const Segment& segment : op.segments) {
    for (int row = 0; row < segment.count; ++row) {
      const int64_t position = int64_t{segment.position} + row;
      if (op.rule.attends_all(position)) continue;
      pooled += fine_windows(position) + (op.rule.coarse ? coarse_windows(position) : 0);
    }
  }
  return pooled * op.layout.kv_heads * static_cast<int64_t>(op.layout.pooled_key_bytes());
}

void OpProfile::start() {
  for (Sum& sum : sums_) {
    for (auto* part : {&sum.calls, &sum.nanoseconds, &sum.bytes}) *part = 0;
  }
  on_.store(true, std::memory_order_relaxed);
}

std::array<OpProfile::Count, kOpKinds> OpProfile::counts() const {
  std::array<Count, kOpKinds> counts;
  for (size_t i = 0; i < counts.size(); ++i) {
    counts[i] = {sums_[i].calls, sums_[i].nanoseconds, sums_[i].bytes};
  }
  return counts;
}

Attention OpProfile::on_host(const Attention& op, Memory& memory) {
  if (op.selected.words == nullptr || memory.is_host()) return op;
  masks_.resize(static_cast<size_t>(op.q.rows * op.layout.kv_heads * op.selected.stride));
  memory.download(masks_.data(), op.selected.words, masks_.size() * sizeof(uint64_t));
  memory.synchronize();
  Attention result = op;
  result.selected.words = masks_.data();
  return result;
}

void OpProfile::add(OpKind kind, std::chrono::steady_clock::duration time, int64_t bytes) {
  Sum& sum = sums_[static_cast<size_t>(kind)];
  sum.calls += 1;
  sum.nanoseconds += std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
  sum.bytes += bytes;
}

}  // namespace minicpm
