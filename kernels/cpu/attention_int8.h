// Scores of queries for int8 keys: exact integer dot products of groups of 32 dimensions, by the
// instructions that multiply packed weights. A tile of 16 keys is a tile of 16 weight rows.
#pragma once

#include "kernels/cpu/attention_tile.h"
#include "kernels/cpu/dot.h"
#include "kernels/cpu/quantize.h"
#include "kernels/quantize_rows.h"

namespace minicpm::ISA {

// A query as int8 stands in the memory of its `dim` floats: [dim] integers, then scales and sums
// [dim / 32], which begin so many floats on:
inline int query_scales_at(int dim) {
  return dim / 4;
}
inline int query_sums_at(int dim) {
  return dim / 4 + dim / kQuantizedGroup;
}

/// query = q * scale, rounded.
inline void load_int8_query(const float* q, float scale, int dim, float* query) {
  auto* integers = reinterpret_cast<int8_t*>(query);
  float* scales = query + query_scales_at(dim);
  auto* sums = reinterpret_cast<int32_t*>(query + query_sums_at(dim));
  for (int first = 0, group = 0; first < dim; first += kQuantizedGroup, group++) {
    float scaled[kQuantizedGroup];
    for (int i = 0; i < kQuantizedGroup; i += kLanes) {
      store(scaled + i, load(q + first + i) * broadcast(scale));
    }
    scales[group] = quantize(scaled, kQuantizedGroup, integers + first);
    sums[group] = 0;
    for (int i = 0; i < kQuantizedGroup; i++) sums[group] += integers[first + i];
  }
}

/// M queries side by side, as each_dot reads activations.
template <int M>
struct Int8Queries {
  static constexpr int kMostSteps = kMostInt8HeadDim / kPackedStep;
  int32_t steps[kMostSteps * M];
  int32_t sums[kMostSteps / kSteps * M];
  float scales[kMostSteps / kSteps * M];

  Int8Queries(const Tile& tile, int row) {
    for (int m = 0; m < M; m++) {
      const float* query = tile.queries + (row + m) * tile.stride;
      const auto* its_steps = reinterpret_cast<const int32_t*>(query);
      const auto* its_sums = reinterpret_cast<const int32_t*>(query + query_sums_at(tile.dim));
      for (int step = 0; step < tile.dim / kPackedStep; step++) {
        steps[step * M + m] = its_steps[step];
      }
      for (int group = 0; group < tile.dim / kQuantizedGroup; group++) {
        sums[group * M + m] = its_sums[group];
        scales[group * M + m] = query[query_scales_at(tile.dim) + group];
      }
    }
  }
};

/// weights[m][key] = queries[m] . key for the keys of T tiles from tile `first` on.
template <int M, int T>
inline void score_int8(const Tile& tile, int row, const Int8Queries<M>& queries,
                       Stream<unsigned char> keys, const float* scales, int first) {
  constexpr int kVectors = T * kParts, kVectorKeys = kTileKeys / kParts;
  const int64_t tile_bytes = int64_t{tile.dim} * kTileKeys;
  Dots totals[kVectors][M], key_scales[kVectors];
  for (int v = 0; v < kVectors; v++) {
    key_scales[v] = load_scales(scales + first * kTileKeys + v * kVectorKeys);
    for (int m = 0; m < M; m++) totals[v][m] = no_dots();
  }
  for (int d = 0, group = 0; d < tile.dim; d += kQuantizedGroup, group++) {
    const int64_t at = first * tile_bytes + d * kTileKeys;
    for (int t = 0; t < T; t++) {
      for (int line = 0; line < kQuantizedGroup * kTileKeys; line += kPackedLine) {
        __builtin_prefetch(keys.next + at + t * tile_bytes + line, 0, 2);
      }
    }
    const RoundedColumns columns{queries.steps + group * kSteps * M, queries.sums + group * M,
                                 nullptr};
    each_dot<DType::w8, packed_zero(DType::w8), T, M>(
        keys.now + at, tile_bytes, columns, [&](int v, int m, Dots dot) {
          totals[v][m] =
              add_scaled(dot, key_scales[v], queries.scales[group * M + m], totals[v][m]);
        });
  }
  for (int m = 0; m < M; m++) {
    float* weights = tile.weights + (row + m) * kBlockTokens + first * kTileKeys;
    for (int v = 0; v < kVectors; v++) store_dots(weights + v * kVectorKeys, totals[v][m]);
  }
}

/// The scores of M rows for the first `key_tiles` 16 keys of a block.
template <int M>
void score_rows_int8(const Tile& tile, int row, Stream<unsigned char> keys, const float* scales,
                     int key_tiles) {
  constexpr int T = M <= 6 ? kTilesAtOnce : 1;  // 28 registers of totals and keys at most
  const Int8Queries<M> queries(tile, row);
  int key = 0;
  for (; key + T <= key_tiles; key += T) score_int8<M, T>(tile, row, queries, keys, scales, key);
  for (; key < key_tiles; key++) score_int8<M, 1>(tile, row, queries, keys, scales, key);
}

/// Weights of values become weights of their integers; what weighs 0 stays 0 whatever its scale.
inline void scale_weights(float* weights, const float* scales) {
  for (int k = 0; k < kBlockTokens; k += kLanes) {
    const f32x16 weight = load(weights + k), zero = broadcast(0);
    store(weights + k, select_less(zero, weight, weight * load(scales + k), zero));
  }
}

/// attend_block with int8 keys and values; `scales` has 64 of the keys, then 64 of the values.
inline void attend_int8(const Tile& tile, int block, Stream<unsigned char> keys,
                        Stream<int8_t> values, const float* scales, Rows rows,
                        const Partial& partial) {
  attend_block(
      tile, block, rows, partial,
      [&]<int R>(int row, int key_tiles, bool ahead) {
        score_rows_int8<R>(tile, row, keys.if_ahead(ahead), scales, key_tiles);
      },
      [&](float* weights) { scale_weights(weights, scales + kBlockTokens); },
      [&]<int R>(int row, int count, bool ahead) {
        weigh_rows<int8_t, R>(tile, row, values.if_ahead(ahead), count, partial.values);
      });
}

}  // namespace minicpm::ISA
