// What one token and KV head works on in score_blocks, and how much memory that takes.
#pragma once

#include "kernels/cpu/pooled_dots.h"
#include "kernels/score_blocks.h"

namespace minicpm::ISA {

/// Sizes for the longest sequence, so that a growing one allocates nothing.
struct ScoreSizes {
  int group, dim;
  int64_t chunks;

  /// Of a thread: coarse int8 keys side by side.
  int64_t lines() const { return int64_t{kChunkBlocks} * dim / int64_t{sizeof(float)}; }
  int64_t queries() const { return (int64_t{group} * dim + kLanes - 1) / kLanes * kLanes; }
  int64_t spread() const { return int64_t{group} * dim * kBlockWindows; }
  int64_t weights() const { return chunks * group * kChunkSlots; }
  int64_t of_chunks() const { return (chunks * group + kLanes - 1) / kLanes * kLanes; }
  int64_t makers() const { return (chunks + kLanes - 1) / kLanes * kLanes; }
  int64_t floats() const { return queries() + spread() + weights() + 3 * of_chunks() + makers(); }
};

/// What one token and KV head works on. Slot i of a row is fine window i - 1: slots are counted
/// through the blocks, and in the first block the first does not exist.
struct ScoreUnit {
  const ScoreBlocks* op;
  int64_t position;
  int64_t row;  // of the batch's
  PooledKeys keys;
  float* weights;   // [chunks][group][kChunkSlots]: e^(x - the chunk's largest x)
  float* largest;   // [group][chunks]: of what the softmax's normalizer runs over
  float* sums;      // [group][chunks]: of e^(x - largest) of that
  float* shares;    // [group][chunks]: what a chunk's weights are multiplied with
  int32_t* makers;  // [chunks]: the thread that made a chunk's weights and has them at hand
  int64_t seen;     // fine windows
  int64_t coarse;   // coarse windows of the normalizer; 0: it runs over the fine ones
  int64_t chunks;   // with windows that are seen

  float* of_chunk(int64_t chunk) const { return weights + chunk * keys.group * kChunkSlots; }
  int64_t at(int row, int64_t chunk) const { return row * chunks + chunk; }
};

/// Slots of a chunk with windows that are seen.
inline int64_t slots_of(const ScoreUnit& unit, int64_t chunk) {
  const int64_t left = unit.seen + 1 - chunk * kChunkSlots;
  return left < kChunkSlots ? left : kChunkSlots;
}

/// Unit `index` of a segment, over `memory` of sizes.floats() and a thread's `lines`.
inline ScoreUnit unit_of(const ScoreBlocks& op, const Segment& segment, int first, int index,
                         const ScoreSizes& sizes, float* memory, unsigned char* lines) {
  const int kv_heads = op.layout.kv_heads;
  const int row = first + index / kv_heads, kv_head = index % kv_heads;
  const int64_t position = segment.position + row, seen = fine_windows(position);
  float* spread = memory + sizes.queries();
  float* weights = spread + sizes.spread();
  float* largest = weights + sizes.weights();
  const KvLayout& layout = op.layout;
  const size_t begin = segment.pooled ? 0 : layout.before_pooled();
  return {.op = &op,
          .position = position,
          .row = (int64_t{segment.row} + row) * kv_heads + kv_head,
          .keys = {.places = segment.pooled ? segment.pooled : segment.blocks,
                   .last_block = position / kBlockTokens,
                   .fine_at = begin + layout.pooled_at(op.layer, kv_head, 0),
                   .coarse_at = begin + layout.pooled_at(op.layer, kv_head, kCoarseWindow),
                   .coarse = op.rule.coarse,
                   .group = sizes.group,
                   .dim = sizes.dim,
                   .queries = memory,
                   .spread = spread,
                   .lines = lines},
          .weights = weights,
          .largest = largest,
          .sums = largest + sizes.of_chunks(),
          .shares = largest + 2 * sizes.of_chunks(),
          .makers = reinterpret_cast<int32_t*>(largest + 3 * sizes.of_chunks()),
          .seen = seen,
          .coarse = op.rule.coarse ? coarse_windows(position) : 0,
          .chunks = (seen + kChunkSlots) / kChunkSlots};
}

/// To the beginning of the unit's `memory`.
inline void load_queries(const ScoreUnit& unit, const ScoreSizes& sizes, float* memory) {
  const int64_t size = int64_t{sizes.group} * sizes.dim;  // heads side by side
  const float* q = static_cast<const float*>(unit.op->q.data) + unit.row * size;
  if (unit.op->layout.dtype == DType::i8) {
    for (int64_t i = 0; i < size; i += sizes.dim) {
      load_int8_query(q + i, unit.op->scale, sizes.dim, memory + i);
    }
    return;
  }
  float* spread = memory + sizes.queries();
  for (int64_t i = 0; i < size; i++) {
    memory[i] = q[i] * unit.op->scale;
    for (int w = 0; w < kBlockWindows; w++) spread[i * kBlockWindows + w] = memory[i];
  }
}

}  // namespace minicpm::ISA
