// A tile of attention rows that share their keys, and what one block of 64 keys adds to it.
//
// Each row (a query head of a token) gets from each block a partial result: the largest score, the
// sum of the exponentials and the weighted sum of the values. Partials are merged in block order.
// All of it depends on the row's position alone: lanes are keys, then dimensions; keys a row may
// not see count exactly zero. So tiles of any size, on any instruction set, give the same bits.
#pragma once

#include "kernels/attention.h"
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

/// Broadcast operands a register tile can hold beside its accumulators.
constexpr int kRowsAtOnce = kWideLanes == 16 ? 8 : 4;

/// weights[r][key] = queries[r] . key, for the first `key_tiles` 16 keys of a block.
template <typename T, int R>
void score_rows(const Tile& tile, int row, const T* keys, int key_tiles) {
  const float* queries = tile.queries + row * tile.stride;
  for (int k = 0; k < key_tiles; k++, keys += tile.dim * kTileKeys) {
    f32x16 dots[R];
    for (int r = 0; r < R; r++) dots[r] = broadcast(0);
    for (int d = 0; d < tile.dim; d++) {
      const f32x16 key = load(keys + d * kTileKeys);
      for (int r = 0; r < R; r++) {
        dots[r] = fma(key, broadcast(queries[r * tile.stride + d]), dots[r]);
      }
    }
    for (int r = 0; r < R; r++) {
      store(tile.weights + (row + r) * kBlockTokens + k * kTileKeys, dots[r]);
    }
  }
}

/// values[r] = sum_key weights[r][key] * value[key], in the order of the keys. Adding 0 at the end
/// makes -0 into 0: a key with weight 0 then changes nothing.
template <typename T, int R>
void weigh_rows(const Tile& tile, int row, const T* values, int keys, float* results) {
  const float* weights = tile.weights + row * kBlockTokens;
  for (int d = 0; d < tile.dim; d += kLanes) {
    const int n = tile.dim - d < kLanes ? tile.dim - d : kLanes;
    f32x16 totals[R];
    for (int r = 0; r < R; r++) totals[r] = broadcast(0);
    const auto add = [&](int key, f32x16 value) {
      for (int r = 0; r < R; r++) {
        totals[r] = fma(value, broadcast(weights[r * kBlockTokens + key]), totals[r]);
      }
    };
    if (n == kLanes) {
      for (int key = 0; key < keys; key++) add(key, load(values + key * tile.dim + d));
    } else {
      for (int key = 0; key < keys; key++) add(key, load_first(values + key * tile.dim + d, n));
    }
    for (int r = 0; r < R; r++) {
      store(results + (row + r) * tile.stride + d, totals[r] + broadcast(0));
    }
  }
}

/// Calls f with the rows [first, rows) cut into register tiles: f(row, std::integral_constant-like
/// count).
template <int R, typename F>
inline void on_row_tiles(int first, int rows, F f) {
  int row = first;
  for (; row + R <= rows; row += R) f.template operator()<R>(row);
  if constexpr (R > 1) on_row_tiles<R / 2>(row, rows, f);
}

/// Scores of one row to exponentials; keys from `seen` on get 0.
inline void exponentiate(float* weights, int seen, float* largest_score, float* exp_sum) {
  const f32x16 hidden = broadcast(-__builtin_inff());
  static const float kKeys[kLanes] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  f32x16 scores[4];
  for (int k = 0; k < 4; k++) {
    const f32x16 key = load(kKeys) + broadcast(static_cast<float>(k * kTileKeys));
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

/// The partial results of block `block`, whose keys and values are given, for rows from
/// first_seeing on.
template <typename T>
void attend_block(const Tile& tile, int block, const T* keys, const T* values,
                  const Partial& partial) {
  const int first = first_seeing(tile, block);
  const auto seen_by = [&](int row) {
    const int seen = tile.position + row / tile.group + 1 - block * kBlockTokens;
    return seen < kBlockTokens ? seen : kBlockTokens;
  };
  const int key_tiles = (seen_by(tile.rows - 1) + kTileKeys - 1) / kTileKeys;
  on_row_tiles<kRowsAtOnce>(first, tile.rows,
                            [&]<int R>(int row) { score_rows<T, R>(tile, row, keys, key_tiles); });
  for (int row = first; row < tile.rows; row++) {
    exponentiate(tile.weights + row * kBlockTokens, seen_by(row), partial.largest + row,
                 partial.sums + row);
  }
  on_row_tiles<kRowsAtOnce>(first, tile.rows, [&]<int R>(int row) {
    weigh_rows<T, R>(tile, row, values, key_tiles * kTileKeys, partial.values);
  });
}

/// state = state and then partial, for rows [first, rows).
inline void merge(const Tile& tile, int first, const Partial& state, const Partial& partial) {
  for (int begin = first; begin < tile.rows; begin += kLanes) {
    const int n = tile.rows - begin < kLanes ? tile.rows - begin : kLanes;
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
