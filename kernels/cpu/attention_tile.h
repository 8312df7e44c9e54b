// A tile of attention rows that share their keys, and what one block of 64 keys adds to it.
//
// Each row (a query head of a token) gets from each block a partial result: the largest score, the
// sum of the exponentials and the weighted sum of the values. Partials are merged in block order.
// All of it depends on the row's position alone: lanes are keys, then dimensions; keys a row may
// not see count exactly zero. So tiles of any size, on any instruction set, give the same bits.
#pragma once

#include "kernels/attention.h"
#include "kernels/cpu/row_tiles.h"
#include "kernels/cpu/simd.h"

namespace minicpm::ISA {

/// Partial results of some rows: values is [rows][stride], largest and sums are [rows].
struct Partial {
  float* largest;
  float* sums;
  float* values;
};

/// Rows in the order [token][head of the group]; their queries are scaled and padded with zeros to
/// the stride.
struct Tile {
  int rows;
  int group;     // query heads of the KV head
  int position;  // of the first token
  int dim;
  int stride;            // dim, rounded up to whole vectors
  const float* queries;  // [rows][stride]
  float* weights;        // [rows][64]: scores, then their exponentials
};

/// Rows of a register tile, and how many vectors beside each other (keys of 16, dimensions of 16)
/// make enough accumulators to hide the latency of an FMA where there are few rows.
constexpr int kRowsAtOnce = kWideLanes == 16 ? 8 : 4;
template <int R>
constexpr int kVectors = kWideLanes == 16  ? (R <= 4 ? 4 : 1)
                         : kWideLanes == 8 ? (R == 1   ? 4
                                              : R <= 3 ? 2
                                                       : 1)
                                           : 1;

/// Keys (or values) of a block, and those of the next block: its lines are prefetched one by one
/// along the way, because the processor's own prefetching starts anew with every block. They come
/// in order and evenly, whatever the order in which the block itself is read.
template <typename T>
struct Stream {
  const T* now;
  const T* next;

  /// Itself, or without a next block to prefetch.
  Stream if_ahead(bool ahead) const { return {now, ahead ? next : now}; }
};

/// Numbers of T in one line of memory.
template <typename T>
constexpr int kLine = 64 / static_cast<int>(sizeof(T));

/// weights[r][key] = queries[r] . key, for V times 16 keys of a block from tile `first` on.
template <typename T, int R, int V>
inline void score(const Tile& tile, int row, Stream<T> keys, int first) {
  const float* queries = tile.queries + row * tile.stride;
  const int64_t tile_size = tile.dim * kTileKeys;
  const T* now = keys.now + first * tile_size;
  const T* next = keys.next + first * tile_size;
  f32x16 dots[R][V];
  for (int r = 0; r < R; r++) {
    for (int v = 0; v < V; v++) dots[r][v] = broadcast(0);
  }
  constexpr int kDims = kLine<T> / kTileKeys;  // of a line
  for (int d = 0; d < tile.dim; d += kDims, now += kLine<T>, next += kLine<T>) {
    for (int v = 0; v < V; v++) __builtin_prefetch(next + v * tile_size, 0, 2);
    for (int i = 0; i < kDims; i++) {
      f32x16 key[V];
      for (int v = 0; v < V; v++) key[v] = load(now + v * tile_size + i * kTileKeys);
      for (int r = 0; r < R; r++) {
        const f32x16 query = broadcast(queries[r * tile.stride + d + i]);
        for (int v = 0; v < V; v++) dots[r][v] = fma(key[v], query, dots[r][v]);
      }
    }
  }
  for (int r = 0; r < R; r++) {
    float* weights = tile.weights + (row + r) * kBlockTokens + first * kTileKeys;
    for (int v = 0; v < V; v++) store(weights + v * kTileKeys, dots[r][v]);
  }
}

/// The scores of R rows for the first `key_tiles` 16 keys of a block.
template <typename T, int R>
void score_rows(const Tile& tile, int row, Stream<T> keys, int key_tiles) {
  int k = 0;
  for (; k + kVectors<R> <= key_tiles; k += kVectors<R>)
    score<T, R, kVectors<R>>(tile, row, keys, k);
  for (; k < key_tiles; k++) score<T, R, 1>(tile, row, keys, k);
}

/// results[r][0..16 V) = sum_key weights[r][key] * value[key], in the order of the keys, where
/// load_value(key, v) gives 16 dimensions of a value. Adding 0 at the end makes -0 into 0: a key
/// with weight 0 then changes nothing.
template <int R, int V, typename LoadValue>
inline void weigh(const float* weights, int keys, float* results, int stride,
                  LoadValue load_value) {
  f32x16 totals[R][V];
  for (int r = 0; r < R; r++) {
    for (int v = 0; v < V; v++) totals[r][v] = broadcast(0);
  }
  for (int key = 0; key < keys; key++) {
    f32x16 value[V];
    for (int v = 0; v < V; v++) value[v] = load_value(key, v);
    for (int r = 0; r < R; r++) {
      const f32x16 weight = broadcast(weights[r * kBlockTokens + key]);
      for (int v = 0; v < V; v++) totals[r][v] = fma(value[v], weight, totals[r][v]);
    }
  }
  for (int r = 0; r < R; r++) {
    for (int v = 0; v < V; v++) {
      store(results + r * stride + v * kLanes, totals[r][v] + broadcast(0));
    }
  }
}

/// The weighted sums of values of R rows.
template <typename T, int R>
void weigh_rows(const Tile& tile, int row, Stream<T> values, int keys, float* results) {
  const float* weights = tile.weights + row * kBlockTokens;
  results += row * tile.stride;
  constexpr int V = kVectors<R>;
  int d = 0;
  const auto whole = [&](int key, int v) {
    __builtin_prefetch(values.next + int64_t{d} * kBlockTokens + (key * V + v) * kLanes, 0, 2);
    return load(values.now + int64_t{key} * tile.dim + d + v * kLanes);
  };
  const auto part = [&](int key, int) {
    return load_first(values.now + int64_t{key} * tile.dim + d, tile.dim - d);
  };
  for (; d + V * kLanes <= tile.dim; d += V * kLanes) {
    weigh<R, V>(weights, keys, results + d, tile.stride, whole);
  }
  for (; d + kLanes <= tile.dim; d += kLanes) {
    weigh<R, 1>(weights, keys, results + d, tile.stride, whole);
  }
  if (d < tile.dim) weigh<R, 1>(weights, keys, results + d, tile.stride, part);
}

/// Scores of one row to exponentials; keys from `seen` on get 0.
inline void exponentiate(float* weights, int seen, float* largest_score, float* exp_sum) {
  const f32x16 hidden = broadcast(-__builtin_inff());
  f32x16 scores[4];
  for (int k = 0; k < 4; k++) {
    const f32x16 key = load(kLaneNumbers) + broadcast(static_cast<float>(k * kTileKeys));
    scores[k] = select_less(key, broadcast(static_cast<float>(seen)), load(weights + k * kTileKeys),
                            hidden);
  }
  const float most = largest(max(max(scores[0], scores[1]), max(scores[2], scores[3])));
  for (int k = 0; k < 4; k++) {
    scores[k] = exp(scores[k] - broadcast(most));
    store(weights + k * kTileKeys, scores[k]);
  }
  *largest_score = most;
  *exp_sum = sum((scores[0] + scores[1]) + (scores[2] + scores[3]));
}

/// The first row that sees any key of block `block`.
inline int first_seeing(const Tile& tile, int block) {
  const int tokens_before = block * kBlockTokens - tile.position;
  return tokens_before > 0 ? tokens_before * tile.group : 0;
}

/// Neighbouring rows [first, last).
struct Rows {
  int first, last;
};

/// The partial results of block `block` for some rows that all see a key of it, whatever its keys
/// and values are stored as. In this order, with `ahead` where the next block is to be prefetched
/// (the first rows do that, the others have it behind them):
///   score<R>(row, key_tiles, ahead)  the scores of R rows for the first 16 key_tiles keys
///   finish(weights)                  once a row's scores have become exponentials
///   weigh<R>(row, keys, ahead)       the weighted sums of values of R rows
template <typename Score, typename Finish, typename Weigh>
inline void attend_block(const Tile& tile, int block, Rows rows, const Partial& partial,
                         Score score, Finish finish, Weigh weigh) {
  const auto seen_by = [&](int row) {
    const int seen = tile.position + row / tile.group + 1 - block * kBlockTokens;
    return seen < kBlockTokens ? seen : kBlockTokens;
  };
  const int key_tiles = (seen_by(rows.last - 1) + kTileKeys - 1) / kTileKeys;
  on_row_tiles<kRowsAtOnce>(rows.first, rows.last, [&]<int R>(int row) {
    score.template operator()<R>(row, key_tiles, row == rows.first);
  });
  for (int row = rows.first; row < rows.last; row++) {
    float* weights = tile.weights + row * kBlockTokens;
    exponentiate(weights, seen_by(row), partial.largest + row, partial.sums + row);
    finish(weights);
  }
  on_row_tiles<kRowsAtOnce>(rows.first, rows.last, [&]<int R>(int row) {
    weigh.template operator()<R>(row, key_tiles * kTileKeys, row == rows.first);
  });
}

/// A block's keys (or values) of T, float ones, and the next block's.
template <typename T>
void attend_floats(const Tile& tile, int block, Stream<T> keys, Stream<T> values, Rows rows,
                   const Partial& partial) {
  attend_block(
      tile, block, rows, partial,
      [&]<int R>(int row, int key_tiles, bool ahead) {
        score_rows<T, R>(tile, row, keys.if_ahead(ahead), key_tiles);
      },
      [](float*) {},
      [&]<int R>(int row, int count, bool ahead) {
        weigh_rows<T, R>(tile, row, values.if_ahead(ahead), count, partial.values);
      });
}

/// state = state and then partial, for some rows.
inline void merge(const Tile& tile, Rows rows, const Partial& state, const Partial& partial) {
  for (int begin = rows.first; begin < rows.last; begin += kLanes) {
    const int n = rows.last - begin < kLanes ? rows.last - begin : kLanes;
    const f32x16 old_largest = load_first(state.largest + begin, n);
    const f32x16 its_largest = load_first(partial.largest + begin, n);
    const f32x16 new_largest = max(old_largest, its_largest);
    const f32x16 old_share = exp(old_largest - new_largest);
    const f32x16 its_share = exp(its_largest - new_largest);
    store_first(state.largest + begin, new_largest, n);
    const f32x16 its_sum = load_first(partial.sums + begin, n) * its_share;
    store_first(state.sums + begin, fma(load_first(state.sums + begin, n), old_share, its_sum), n);
    float keep[kLanes], add[kLanes];
    store(keep, old_share);
    store(add, its_share);
    for (int r = 0; r < n; r++) {
      float* values = state.values + (begin + r) * tile.stride;
      const float* its_values = partial.values + (begin + r) * tile.stride;
      for (int d = 0; d < tile.stride; d += kLanes) {
        store(values + d,
              fma(load(values + d), broadcast(keep[r]), load(its_values + d) * broadcast(add[r])));
      }
    }
  }
}

/// The state before any block.
inline void clear(const Tile& tile, const Partial& state) {
  for (int row = 0; row < tile.rows; row++) {
    state.largest[row] = -__builtin_inff();
    state.sums[row] = 0;
    for (int d = 0; d < tile.stride; d += kLanes) {
      store(state.values + row * tile.stride + d, broadcast(0));
    }
  }
}

}  // namespace minicpm::ISA
