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

/// M queries side by side, as each_dot reads activations.
template <int M>
struct Int8Queries {
  static constexpr int kMostSteps = 512;
  int32_t steps[kMostSteps * M];
  int32_t sums[kMostSteps / kSteps * M];
  float scales[kMostSteps / kSteps * M];

  Int8Queries(const Tile& tile, int row) {
    for (int m = 0; m < M; m++) {
      const Int8Query query(const_cast<float*>(tile.queries) + (row + m) * tile.stride, tile.dim);
      for (int step = 0; step < tile.dim / kPackedStep; step++) {
        __builtin_memcpy(steps + step * M + m, query.integers + step * kPackedStep, kPackedStep);
      }
      for (int group = 0; group < tile.dim / kQuantizedGroup; group++) {
        sums[group * M + m] = query.sums[group];
        scales[group * M + m] = query.scales[group];
      }
    }
  }
};

/// weights[m][key] = queries[m] . key for the keys of T tiles from tile `first` on.
template <int M, int T>
inline void score_int8(const Tile& tile, int row, const Int8Queries<M>& queries, Int8Stream keys,
                       int first) {
  constexpr int kVectors = T * kParts, kVectorKeys = kTileKeys / kParts;
  const int64_t tile_bytes = int64_t{tile.dim} * kTileKeys;
  Dots totals[kVectors][M], key_scales[kVectors];
  for (int v = 0; v < kVectors; v++) {
    key_scales[v] = load_scales(keys.scales + first * kTileKeys + v * kVectorKeys);
    for (int m = 0; m < M; m++) totals[v][m] = no_dots();
  }
  for (int d = 0, group = 0; d < tile.dim; d += kQuantizedGroup, group++) {
    const int64_t at = first * tile_bytes + d * kTileKeys;
    for (int t = 0; t < T; t++) {
      for (int line = 0; line < kQuantizedGroup * kTileKeys; line += kPackedLine) {
        __builtin_prefetch(keys.next + at + t * tile_bytes + line, 0, 2);
      }
    }
    each_dot<DType::w8, T, M>(keys.now + at, tile_bytes, queries.steps + group * kSteps * M,
                              queries.sums + group * M, [&](int v, int m, Dots dot) {
                                totals[v][m] =
                                    add_scaled(dot, key_scales[v], queries.scales[group * M + m],
                                               totals[v][m]);
                              });
  }
  for (int m = 0; m < M; m++) {
    float* weights = tile.weights + (row + m) * kBlockTokens + first * kTileKeys;
    for (int v = 0; v < kVectors; v++) store_dots(weights + v * kVectorKeys, totals[v][m]);
  }
}

/// The scores of M rows for the first `key_tiles` 16 keys of a block.
template <int M>
void score_rows_int8(const Tile& tile, int row, Int8Stream keys, int key_tiles) {
  constexpr int T = M <= 6 ? kTilesAtOnce : 1;  // 28 registers of totals and keys at most
  const Int8Queries<M> queries(tile, row);
  int key = 0;
  for (; key + T <= key_tiles; key += T) score_int8<M, T>(tile, row, queries, keys, key);
  for (; key < key_tiles; key++) score_int8<M, 1>(tile, row, queries, keys, key);
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
