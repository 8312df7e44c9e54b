// How the work of attention is cut: units of up to 8 neighbouring tokens of a segment, one KV head,
// all query heads of its group, and the blocks that each goes through.
#pragma once

#include "kernels/cpu/attention_tile.h"

namespace minicpm::ISA {

constexpr int kTileTokens = 8;

/// What all units of one run have in common.
struct Shape {
  int group, dim, stride;
  int rows;         // at most, in one unit
  int units;        // of all segments
  int most_blocks;  // that a unit may go through

  /// Floats of [rows][stride], and of one number a row.
  int64_t matrix() const { return int64_t{rows} * stride; }
};

struct Unit {
  const Segment* segment;
  int token;   // first of the segment's
  int tokens;  // 1 to 8
  int kv_head;

  /// Blocks that its last token sees.
  int seen_blocks() const { return (segment->position + token + tokens - 1) / kBlockTokens + 1; }

  /// Its token `t` as a row of BlockMasks.
  int64_t mask_row(const Attention& op, int t) const {
    return int64_t{segment->row + token + t} * op.layout.kv_heads + kv_head;
  }
};

/// The blocks that a unit goes through, in order.
struct Blocks {
  const int32_t* selected;  // null: all of them
  int count;

  int operator[](int i) const { return selected ? selected[i] : i; }
};

/// `memory` has room for seen_blocks() numbers; it is not used where all are selected.
inline Blocks blocks_of(const Attention& op, const Unit& unit, int32_t* memory) {
  const int seen = unit.seen_blocks();
  if (op.selected.words == nullptr) return {nullptr, seen};
  int count = 0;
  for (int first = 0; first < seen; first += 64) {
    uint64_t any = 0;
    for (int t = 0; t < unit.tokens; t++) {
      any |= op.selected.words[unit.mask_row(op, t) * op.selected.stride + first / 64];
    }
    for (; any != 0; any &= any - 1) memory[count++] = first + __builtin_ctzll(any);
  }
  return {memory, count};
}

/// Calls f(rows) for each run of the unit's tokens that attend to `block`.
template <typename F>
inline void for_attending(const Attention& op, const Unit& unit, const Tile& tile, int block, F f) {
  const int first = first_seeing(tile, block);
  if (op.selected.words == nullptr) return f(Rows{first, tile.rows});
  for (int t = first / tile.group; t < unit.tokens; t++) {
    if (!op.selected.has(unit.mask_row(op, t), block)) continue;
    const int begin = t;
    while (t + 1 < unit.tokens && op.selected.has(unit.mask_row(op, t + 1), block)) t++;
    f(Rows{begin * tile.group, (t + 1) * tile.group});
  }
}

inline int units_of(const Segment& segment, int kv_heads) {
  return (segment.count + kTileTokens - 1) / kTileTokens * kv_heads;
}

inline Shape shape_of(const Attention& op) {
  Shape shape{};
  shape.dim = op.layout.head_dim;
  shape.stride = (shape.dim + kLanes - 1) / kLanes * kLanes;
  shape.group = static_cast<int>(op.q.columns) / shape.dim / op.layout.kv_heads;
  int tokens = 0;
  for (size_t s = 0; s < op.segments.size(); s++) {
    const Segment& segment = op.segments[s];
    shape.units += units_of(segment, op.layout.kv_heads);
    if (segment.count > tokens) tokens = segment.count;
    const int blocks = (segment.position + segment.count - 1) / kBlockTokens + 1;
    if (segment.count > 0 && blocks > shape.most_blocks) shape.most_blocks = blocks;
  }
  shape.rows = (tokens < kTileTokens ? tokens : kTileTokens) * shape.group;
  return shape;
}

inline Unit find_unit(const Attention& op, int index) {
  const Segment* segment = op.segments.data();
  const int kv_heads = op.layout.kv_heads;
  for (; index >= units_of(*segment, kv_heads); segment++) index -= units_of(*segment, kv_heads);
  const int token = index / kv_heads * kTileTokens;
  const int left = segment->count - token;
  return {segment, token, left < kTileTokens ? left : kTileTokens, index % kv_heads};
}

}  // namespace minicpm::ISA
