// Scores of queries for int8 keys: exact integer dot products of groups of 32 dimensions, by the
// instructions that multiply packed weights. A tile of 16 keys is a tile of 16 weight rows.
#pragma once

#include "kernels/cpu/attention_tile.h"
#include "kernels/cpu/dot.h"
#include "kernels/cpu/quantize.h"
#include "kernels/quantize_rows.h"

namespace minicpm::ISA {

/// A query as int8, in the memory of its `dim` floats: [dim] integers, then scales and sums
/// [dim / 32].
struct Int8Query {
  int8_t* integers;
  float* scales;
  int32_t* sums;

  Int8Query(float* memory, int dim)
      : integers(reinterpret_cast<int8_t*>(memory)),
        scales(memory + dim / 4),
        sums(reinterpret_cast<int32_t*>(scales + dim / kQuantizedGroup)) {}
};

/// query = q * scale, rounded.
inline void load_int8_query(const float* q, float scale, int dim, float* memory) {
  const Int8Query query(memory, dim);
  for (int first = 0, group = 0; first < dim; first += kQuantizedGroup, group++) {
    float scaled[kQuantizedGroup];
    for (int i = 0; i < kQuantizedGroup; i += kLanes) {
      store(scaled + i, load(q + first + i) * broadcast(scale));
    }
    int8_t* integers = query.integers + first;
    query.scales[group] = quantize(scaled, kQuantizedGroup, integers);
    query.sums[group] = 0;
    for (int i = 0; i < kQuantizedGroup; i++) query.sums[group] += integers[i];
  }
}

/// A block's int8 keys (or values) with their scales, and the integers of the next block.
struct Int8Stream {
  const unsigned char* now;
  const unsigned char* next;
  const float* scales;  // [64]
};

/// weights[r][key] = queries[r] . key for V vectors of keys, from key `first` on.
template <int R, int V>
inline void score_int8(const Tile& tile, int row, Int8Stream keys, int first) {
  constexpr int kPartKeys = kTileKeys / kParts;
  constexpr int kPartBytes = static_cast<int>(kPackedLine) / kParts;
  Dots sums[R][V];
  for (int r = 0; r < R; r++) {
    for (int v = 0; v < V; v++) sums[r][v] = no_dots();
  }
  Dots key_scales[V];
  int64_t offsets[V];
  for (int v = 0; v < V; v++) {
    const int key = first + v * kPartKeys;
    key_scales[v] = load_scales(keys.scales + key);
    offsets[v] =
        int64_t{key / kTileKeys} * tile.dim * kTileKeys + key % kTileKeys / kPartKeys * kPartBytes;
  }
  for (int d = 0, group = 0; d < tile.dim; d += kQuantizedGroup, group++) {
    Bytes steps[V][kSteps];
    for (int v = 0; v < V; v++) {
      const int64_t at = offsets[v] + d * kTileKeys;
      for (int64_t line = 0; line < kQuantizedGroup * kTileKeys; line += kPackedLine) {
        __builtin_prefetch(keys.next + at + line, 0, 2);
      }
      load_steps<DType::w8>(keys.now + at, steps[v]);
    }
    for (int r = 0; r < R; r++) {
      const Int8Query query(const_cast<float*>(tile.queries) + (row + r) * tile.stride, tile.dim);
      Dots dots[V];
      dot<DType::w8, V>(steps, reinterpret_cast<const int32_t*>(query.integers + d), 1,
                        query.sums[group], dots);
      for (int v = 0; v < V; v++) {
        sums[r][v] = add_scaled(dots[v], key_scales[v], query.scales[group], sums[r][v]);
      }
    }
  }
  for (int r = 0; r < R; r++) {
    float* weights = tile.weights + (row + r) * kBlockTokens + first;
    for (int v = 0; v < V; v++) store_dots(weights + v * kPartKeys, sums[r][v]);
  }
}

/// The scores of R rows for the first `key_tiles` 16 keys of a block.
template <int R>
void score_rows_int8(const Tile& tile, int row, Int8Stream keys, int key_tiles) {
  constexpr int kPartKeys = kTileKeys / kParts;
  int key = 0;
  for (; key + kTogether * kPartKeys <= key_tiles * kTileKeys; key += kTogether * kPartKeys) {
    score_int8<R, kTogether>(tile, row, keys, key);
  }
  for (; key < key_tiles * kTileKeys; key += kPartKeys) score_int8<R, 1>(tile, row, keys, key);
}

/// Weights of values become weights of their integers; what weighs 0 stays 0 whatever its scale.
inline void scale_weights(float* weights, const float* scales) {
  for (int k = 0; k < kBlockTokens; k += kLanes) {
    const f32x16 weight = load(weights + k), zero = broadcast(0);
    store(weights + k, select_less(zero, weight, weight * load(scales + k), zero));
  }
}

/// attend_block with int8 keys and values.
inline void attend_block_int8(const Tile& tile, int block, Int8Stream keys, Int8Stream values,
                              Rows rows, const Partial& partial) {
  const auto seen_by = [&](int row) {
    const int seen = tile.position + row / tile.group + 1 - block * kBlockTokens;
    return seen < kBlockTokens ? seen : kBlockTokens;
  };
  // The first rows prefetch, the others have it behind them.
  const auto next = [&](int row, const Int8Stream& given) {
    return row == rows.first ? given.next : given.now;
  };
  const int key_tiles = (seen_by(rows.last - 1) + kTileKeys - 1) / kTileKeys;
  on_row_tiles<kRowsAtOnce>(rows.first, rows.last, [&]<int R>(int row) {
    score_rows_int8<R>(tile, row, {keys.now, next(row, keys), keys.scales}, key_tiles);
  });
  for (int row = rows.first; row < rows.last; row++) {
    float* weights = tile.weights + row * kBlockTokens;
    exponentiate(weights, seen_by(row), partial.largest + row, partial.sums + row);
    scale_weights(weights, values.scales);
  }
  on_row_tiles<kRowsAtOnce>(rows.first, rows.last, [&]<int R>(int row) {
    const Stream<int8_t> stream{reinterpret_cast<const int8_t*>(values.now),
                                reinterpret_cast<const int8_t*>(next(row, values))};
    weigh_rows<int8_t, R>(tile, row, stream, key_tiles * kTileKeys, partial.values);
  });
}

}  // namespace minicpm::ISA
