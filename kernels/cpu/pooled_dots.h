// Dot products of queries with pooled keys, for the blocks of a chunk: lanes are fine pooled keys,
// 4 of each of 4 blocks; all query heads of a group read each pooled key once.
//
// Where a context is long, much of the time goes into memory. Keys are fetched some tiles ahead,
// few lines at a time between the products: many at once stop all else until the processor has room
// for them. They stand in memory in the order of reading, if the blocks are neighbours in
// a slab (kv_layout.h).
#pragma once

#include "kernels/cpu/attention_int8.h"
#include "kernels/cpu/row_tiles.h"
#include "kernels/cpu/simd.h"
#include "kernels/sparse_rule.h"

namespace minicpm::ISA {

/// Blocks that are scored together, so that their numbers stay in the first cache. It is part of
/// the definition of the sums' order.
constexpr int kChunkBlocks = 64;
constexpr int kChunkSlots = kChunkBlocks * kBlockWindows;
constexpr int kTileBlocks = kLanes / kBlockWindows;   // blocks of a tile of 16 windows
constexpr int kTilesAhead = 3;                        // whose keys are fetched
constexpr int kFetchedLine = 64;                      // bytes
constexpr int kScoreRows = kWideLanes == 16 ? 8 : 2;  // with two blocks: in registers
constexpr int kInt8ScoreRows = kWideLanes == 16 ? 8 : 4;

/// Has the lines of [from, from + count) on their way from memory.
template <typename T>
inline void fetch(const T* from, int64_t count) {
  constexpr int kStep = kFetchedLine / static_cast<int>(sizeof(T));
  for (int64_t i = 0; i < count; i += kStep) __builtin_prefetch(from + i, 0, 2);
}

/// The pooled keys of one layer and KV head of a sequence, and the queries of its group.
struct PooledKeys {
  std::byte* const* places;  // where the pooled keys of each block begin
  int64_t last_block;
  size_t fine_at, coarse_at;  // from there
  int64_t next_block;         // where is read after this chunk
  bool coarse;                // whether coarse ones are read, too
  int group, dim;
  const float* queries;  // [group][dim], scaled; before int8 keys as load_int8_query has them
  const float* spread;   // not int8: [group][dim][kBlockWindows], each of the queries' numbers
  unsigned char* lines;  // int8: room for coarse ones, [kChunkBlocks][dim], 64-byte aligned

  const std::byte* at(int64_t block) const {
    return places[block < last_block ? block : last_block];
  }
  template <typename T>
  const T* fine_of(int64_t block) const {
    return reinterpret_cast<const T*>(at(block) + fine_at);
  }
  template <typename T>
  const T* coarse_of(int64_t block) const {
    return reinterpret_cast<const T*>(at(block) + coarse_at);
  }
  int64_t fine_size() const { return int64_t{dim} * kBlockWindows; }  // in numbers
  /// Of int8 ones.
  const float* fine_scales(int64_t block) const {
    return reinterpret_cast<const float*>(fine_of<unsigned char>(block) + fine_size());
  }
  float coarse_scale(int64_t block) const {
    return *reinterpret_cast<const float*>(coarse_of<unsigned char>(block) + dim);
  }

  /// The block to fetch while block `block` of the chunk from `first` on is read.
  int64_t ahead_of(int64_t first, int block) const {
    const int ahead = block + kTilesAhead * kTileBlocks;
    return ahead < kChunkBlocks ? first + ahead : next_block + ahead - kChunkBlocks;
  }
};

/// x[r][16 slots] = queries[r] . fine pooled key, for R rows from `row` on and the 4 blocks;
/// fetches the same of those at `ahead`, block by block. A vector is 4 dimensions of a block's 4
/// keys, so that keys need no shuffles: sums grow of every fourth dimension, and are joined at the
/// end.
template <typename T, int R>
inline void dot_tile(const PooledKeys& keys, int row, const T* const* blocks, const T* const* ahead,
                     float* x) {
  const int64_t size = keys.fine_size(), half = size / 2;
  const float* queries = keys.spread + row * size;
  f32x16 pairs[2][R];
  for (int pair = 0; pair < 2; pair++, blocks += 2, ahead += 2) {
    f32x16 first[R], second[R];
    for (int r = 0; r < R; r++) first[r] = second[r] = broadcast(0);
    for (int64_t at = 0; at < size; at += kLanes) {
      fetch(at < half ? ahead[0] + 2 * at : ahead[1] + 2 * (at - half), 2 * kLanes);
      const f32x16 a = load(blocks[0] + at), b = load(blocks[1] + at);
      for (int r = 0; r < R; r++) {
        const f32x16 query = load(queries + r * size + at);
        first[r] = fma(a, query, first[r]);
        second[r] = fma(b, query, second[r]);
      }
    }
    for (int r = 0; r < R; r++) pairs[pair][r] = add_halves(first[r], second[r]);
  }
  for (int r = 0; r < R; r++) {
    store(x + (row + r) * kChunkSlots, add_quarters(pairs[0][r], pairs[1][r]));
  }
}

/// x[r][slot] for the fine pooled keys of `tiles` tiles of 16 slots from block `first` on.
template <typename T>
void dot_fine(const PooledKeys& keys, int64_t first, int tiles, float* x) {
  for (int tile = 0; tile < tiles; tile++) {
    const T *blocks[kTileBlocks], *ahead[kTileBlocks];
    for (int i = 0; i < kTileBlocks; i++) {
      const int block = tile * kTileBlocks + i;
      const int64_t next = keys.ahead_of(first, block);
      blocks[i] = keys.fine_of<T>(first + block);
      ahead[i] = keys.fine_of<T>(next);
      if (keys.coarse) fetch(keys.coarse_of<T>(next), keys.dim);
    }
    on_row_tiles<kScoreRows>(0, keys.group, [&]<int R>(int row) {
      dot_tile<T, R>(keys, row, blocks, row == 0 ? ahead : blocks, x + tile * kLanes);
    });
  }
}

/// x[i] = query . keys[i], for 16 keys of whole vectors, `stride` apart.
inline void dot_sixteen(const float* keys, int stride, const float* query, int dim, float* x) {
  f32x16 dots[kLanes];
  for (int i = 0; i < kLanes; i++) dots[i] = broadcast(0);
  for (int d = 0; d < dim; d += kLanes) {
    const f32x16 numbers = load_first(query + d, dim - d);
    for (int i = 0; i < kLanes; i++) dots[i] = fma(load(keys + i * stride + d), numbers, dots[i]);
  }
  store(x, sums(dots));
}

/// x[r][i] = queries[r] . the coarse pooled key that ends in block first + i, i < count.
template <typename T>
void dot_coarse(const PooledKeys& keys, int64_t first, int count, float* x) {
  constexpr int kMostDims = 256;  // that are widened once for all rows
  float widened[kLanes * kMostDims];
  const int stride = (keys.dim + kLanes - 1) / kLanes * kLanes;
  for (int begin = 0; begin < count; begin += kLanes) {
    if (keys.dim > kMostDims) {
      for (int row = 0; row < keys.group; row++) {
        for (int i = 0; i < kLanes; i++) {
          f32x16 dot = broadcast(0);
          const T* key = keys.coarse_of<T>(first + begin + i);
          for (int d = 0; d < keys.dim; d += kLanes) {
            const float* query = keys.queries + row * keys.dim + d;
            dot = fma(load_first(key + d, keys.dim - d), load_first(query, keys.dim - d), dot);
          }
          x[row * kChunkBlocks + begin + i] = sum(dot);
        }
      }
      continue;
    }
    for (int i = 0; i < kLanes; i++) {
      const T* key = keys.coarse_of<T>(first + begin + i);
      for (int d = 0; d < keys.dim; d += kLanes) {
        store(widened + i * stride + d, load_first(key + d, keys.dim - d));
      }
    }
    for (int row = 0; row < keys.group; row++) {
      dot_sixteen(widened, stride, keys.queries + row * keys.dim, keys.dim,
                  x + row * kChunkBlocks + begin);
    }
  }
}

/// Rows [row, row + R) of the group.
template <int R>
inline Int8Queries<R> int8_queries(const PooledKeys& keys, int row) {
  return {{R, R, 0, keys.dim, keys.dim, keys.queries, nullptr}, row};
}

/// x[r * stride + i] = queries[r] . int8 key i of 16, for R rows. The keys come in 4 pieces,
/// [dim / 4][4 keys][4]; as much is fetched from each of `ahead`.
template <int R>
inline void dot_tile_int8(int dim, const Int8Queries<R>& queries,
                          const unsigned char* const* pieces, const unsigned char* const* ahead,
                          const float* scales, float* x, int stride) {
  constexpr int kGroupBytes = kQuantizedGroup * kTileKeys / kTileBlocks;  // of a piece
  Dots totals[kParts][R];
  for (int v = 0; v < kParts; v++) {
    for (int r = 0; r < R; r++) totals[v][r] = no_dots();
  }
  for (int group = 0; group < dim / kQuantizedGroup; group++) {
    const unsigned char* its[kTileBlocks];
    for (int i = 0; i < kTileBlocks; i++) {
      its[i] = pieces[i] + group * kGroupBytes;
      fetch(ahead[i] + group * kGroupBytes, kGroupBytes);
    }
    const RoundedColumns columns{queries.steps + group * kSteps * R, queries.sums + group * R,
                                 nullptr};
    each_gathered_dot<packed_zero(DType::w8), R>(its, columns, [&](int v, int r, Dots dot) {
      const Dots key_scales = load_scales(scales + v * kTileKeys / kParts);
      totals[v][r] = add_scaled(dot, key_scales, queries.scales[group * R + r], totals[v][r]);
    });
  }
  for (int v = 0; v < kParts; v++) {
    for (int r = 0; r < R; r++) {
      store_dots(x + r * stride + v * kTileKeys / kParts, totals[v][r]);
    }
  }
}

/// dot_fine of int8 keys: a tile's 4 blocks are pieces of a tile of packed rows.
inline void dot_fine_int8(const PooledKeys& keys, int64_t first, int tiles, float* x) {
  constexpr int kScaleBytes = kBlockWindows * static_cast<int>(sizeof(float));
  on_row_tiles<kInt8ScoreRows>(0, keys.group, [&]<int R>(int row) {
    const Int8Queries<R> queries = int8_queries<R>(keys, row);
    for (int tile = 0; tile < tiles; tile++) {
      const unsigned char *blocks[kTileBlocks], *ahead[kTileBlocks];
      float scales[kLanes];
      for (int i = 0; i < kTileBlocks; i++) {
        const int block = tile * kTileBlocks + i;
        blocks[i] = ahead[i] = keys.fine_of<unsigned char>(first + block);
        __builtin_memcpy(scales + i * kBlockWindows, keys.fine_scales(first + block), kScaleBytes);
        if (row > 0) continue;
        const int64_t next = keys.ahead_of(first, block);
        ahead[i] = keys.fine_of<unsigned char>(next);
        if (keys.coarse) fetch(keys.coarse_of<unsigned char>(next), keys.dim);
      }
      dot_tile_int8<R>(keys.dim, queries, blocks, ahead, scales,
                       x + row * kChunkSlots + tile * kLanes, kChunkSlots);
    }
  });
}

/// dot_coarse of int8 keys: brings 4 blocks' keys side by side, as a piece of a tile.
inline void dot_coarse_int8(const PooledKeys& keys, int64_t first, int count, float* x) {
  const int piece_bytes = keys.dim * kTileBlocks;
  float scales[kChunkBlocks];
  const int tiles = (count + kLanes - 1) / kLanes;
  for (int b = 0; b < tiles * kLanes; b++) {
    const auto* pooled = keys.coarse_of<unsigned char>(first + b);
    unsigned char* piece = keys.lines + b / kTileBlocks * piece_bytes + b % kTileBlocks * 4;
    for (int d = 0; d < keys.dim; d += 4) {
      __builtin_memcpy(piece + d * kTileBlocks, pooled + d, 4);
    }
    scales[b] = keys.coarse_scale(first + b);
  }
  on_row_tiles<kInt8ScoreRows>(0, keys.group, [&]<int R>(int row) {
    const Int8Queries<R> queries = int8_queries<R>(keys, row);
    for (int tile = 0; tile < tiles; tile++) {
      const unsigned char* pieces[kTileBlocks];
      for (int i = 0; i < kTileBlocks; i++) {
        pieces[i] = keys.lines + (tile * kTileBlocks + i) * piece_bytes;
      }
      dot_tile_int8<R>(keys.dim, queries, pieces, pieces, scales + tile * kLanes,
                       x + row * kChunkBlocks + tile * kLanes, kChunkBlocks);
    }
  });
}

}  // namespace minicpm::ISA
