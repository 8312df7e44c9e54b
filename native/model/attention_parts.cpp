#include "native/model/attention_parts.h"

#include <algorithm>
#include <bit>

namespace minicpm {
namespace {

/// Rows that kernels take together (kernels/cpu/attention_units.h): parts end between them.
constexpr int kTileRows = 8;

/// Word `word` of the blocks that a row attends to.
uint64_t attended(const Attention& op, const Segment& segment, int row, int kv_head, int64_t word) {
  if (op.selected.words != nullptr) {
    const int64_t mask = int64_t{segment.row + row} * op.layout.kv_heads + kv_head;
    return op.selected.words[mask * op.selected.stride + word];
  }
  const int64_t blocks = (segment.position + row) / kBlockTokens + 1 - word * 64;
  return blocks >= 64 ? ~uint64_t{0} : blocks > 0 ? (uint64_t{1} << blocks) - 1 : 0;
}

}  // namespace

void AttentionParts::run(const Attention& op, KvFetch& kv,
                         const std::function<void(const Attention&)>& run) {
  segments_.clear();  // where an earlier run failed
  numbers_.clear();
  needed_.clear();
  for (int s = 0; s < static_cast<int>(op.segments.size()); ++s) {
    const int count = op.segments[static_cast<size_t>(s)].count;
    for (int first = 0; first < count;) {
      Rows rows{s, first, std::min(kTileRows, count - first)};
      while (!add(op, rows, kv.room())) {
        if (!segments_.empty()) {
          finish(op, kv, run);
        } else {
          rows.count = (rows.count + 1) / 2;
        }
      }
      first += rows.count;
    }
  }
  finish(op, kv, run);
}

bool AttentionParts::add(const Attention& op, const Rows& rows, int64_t room) {
  const Segment& segment = op.segments[static_cast<size_t>(rows.segment)];
  const int kv_heads = op.layout.kv_heads;
  const int64_t words =
      (segment.position + segment.count + kBlockTokens * 64 - 1) / (kBlockTokens * 64);
  const bool goes_on = !segments_.empty() && numbers_.back() == rows.segment;
  if (!goes_on) bits_.assign(static_cast<size_t>(kv_heads * words), 0);
  const size_t before = needed_.size();
  for (int head = 0; head < kv_heads; ++head) {
    for (int64_t word = 0; word < words; ++word) {
      uint64_t any = 0;
      for (int row = rows.first; row < rows.first + rows.count; ++row) {
        any |= attended(op, segment, row, head, word);
      }
      uint64_t& bits = bits_[static_cast<size_t>(head * words + word)];
      for (uint64_t fresh = any & ~bits; fresh != 0; fresh &= fresh - 1) {
        needed_.push_back(
            {rows.segment, head, static_cast<int>(word * 64) + std::countr_zero(fresh)});
      }
      bits |= any;
    }
  }
  const bool alone = segments_.empty() && rows.count == 1;  // always fits
  if (static_cast<int64_t>(needed_.size()) > room && !alone) {
    needed_.resize(before);
    return false;  // bits_ is begun anew with the next part
  }
  if (goes_on) {
    segments_.back().count += rows.count;
  } else {
    segments_.push_back({.row = segment.row + rows.first,
                         .count = rows.count,
                         .position = segment.position + rows.first,
                         .blocks = segment.blocks});
    numbers_.push_back(rows.segment);
  }
  return true;
}

void AttentionParts::finish(const Attention& op, KvFetch& kv,
                            const std::function<void(const Attention&)>& run) {
  if (segments_.empty()) return;
  kv.fetch(op.layer, needed_);
  Attention part = op;
  part.segments = segments_;
  run(part);
  segments_.clear();
  numbers_.clear();
  needed_.clear();
}

}  // namespace minicpm
