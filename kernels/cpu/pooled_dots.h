// Dot products of queries with pooled keys, for the blocks of a chunk: lanes are fine pooled keys,
// 4 of each of 4 blocks; all query heads of a group read each pooled key once.
//
// Where a context is long, much of the time goes into memory: a block has a few lines, far from
// those of the next. They are fetched some tiles ahead and, of f16, bit by bit between the
// products: many at once stop all else until the processor has room for them.
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
constexpr int kTileBlocks = kLanes / kBlockWindows;  // blocks of a tile of 16 windows
constexpr int kTilesAhead = 3;                       // whose keys are fetched
constexpr int kFetchedLine = 64;                     // bytes
constexpr int kScoreRows = kWideLanes == 16 ? 16 : 4;
constexpr int kInt8ScoreRows = kWideLanes == 16 ? 8 : 4;

/// The pooled keys of one layer and KV head of a sequence, and the queries of its group.
struct PooledKeys {
  std::byte* const* blocks;
  int64_t last_block;
  size_t offset, scales_offset;  // in a block
  size_t next_offset;            // what is read after this chunk:
  int64_t next_block;            // pooled keys there, from that block on
  bool coarse;                   // whether coarse ones are read, too
  int group, dim;
  const float* queries;  // [group][dim], scaled; before int8 keys as load_int8_query has them
  unsigned char* lines;  // int8: room for a chunk's fine ones, [kChunkSlots][dim], 64-byte aligned

  template <typename T>
  const T* of(int64_t block) const {
    return reinterpret_cast<const T*>(at(block) + offset);
  }
  const float* scales(int64_t block) const {
    return reinterpret_cast<const float*>(at(block) + scales_offset);
  }
  const std::byte* at(int64_t block) const {
    return blocks[block < last_block ? block : last_block];
  }
  /// Those to fetch while block `block` of the chunk from `first` on is read.
  template <typename T>
  const T* ahead_of(int64_t first, int block) const {
    const int ahead = block + kTilesAhead * kTileBlocks;
    if (ahead < kChunkBlocks) return of<T>(first + ahead);
    return reinterpret_cast<const T*>(at(next_block + ahead - kChunkBlocks) + next_offset);
  }

  /// Index of dimension `dim` of the first fine one, and of the coarse one, of floats.
  int64_t fine(int dimension) const { return int64_t{dimension} * kBlockWindows; }
  int64_t coarse_at() const { return int64_t{dim} * kBlockWindows; }
};

/// Has the lines of [from, from + count) on their way from memory.
template <typename T>
inline void fetch(const T* from, int64_t count) {
  constexpr int kStep = kFetchedLine / static_cast<int>(sizeof(T));
  for (int64_t i = 0; i < count; i += kStep) __builtin_prefetch(from + i, 0, 2);
}

/// f(i, the fine pooled keys of the 4 blocks at index `at` + i quads) for each quad of a line.
template <typename T, typename F>
inline void each_quad(const T* const* blocks, int64_t at, F f) {
  constexpr int kQuads = kFetchedLine / static_cast<int>(sizeof(T)) / kBlockWindows;
  const T *a = blocks[0] + at, *b = blocks[1] + at, *c = blocks[2] + at, *d = blocks[3] + at;
#if defined(__AVX512F__)
  if constexpr (kQuads == 8) {
    f32x16 quads[kQuads];
    load_eight_quads(a, b, c, d, quads);
#pragma GCC unroll 8
    for (int i = 0; i < kQuads; i++) f(i, quads[i]);
    return;
  }
#endif
  for (int i = 0; i < kQuads; i++) {
    const int j = i * kBlockWindows;
    f(i, load_quads(a + j, b + j, c + j, d + j));
  }
}

/// x[r][16 slots] = queries[r] . fine pooled key, for R rows from `row` on and the 4 blocks;
/// fetches the same of those at `ahead`.
template <typename T, int R>
inline void dot_tile(const PooledKeys& keys, int row, const T* const* blocks, const T* const* ahead,
                     float* x) {
  constexpr int kStep = kFetchedLine / static_cast<int>(sizeof(T)) / kBlockWindows;
  f32x16 dots[R];
  for (int r = 0; r < R; r++) dots[r] = broadcast(0);
  const float* queries = keys.queries + row * keys.dim;
  for (int line = 0; line < keys.dim; line += kStep) {
    for (int i = 0; i < kTileBlocks; i++) {
      __builtin_prefetch(ahead[i] + keys.fine(line), 0, 2);
    }
    each_quad(blocks, keys.fine(line), [&](int i, f32x16 fine) {
      for (int r = 0; r < R; r++) {
        dots[r] = fma(fine, broadcast(queries[r * keys.dim + line + i]), dots[r]);
      }
    });
  }
  for (int r = 0; r < R; r++) store(x + (row + r) * kChunkSlots, dots[r]);
}

/// x[r][slot] for `tiles` tiles of 16 slots from block `first` on.
template <typename T>
void dot_fine(const PooledKeys& keys, int64_t first, int tiles, float* x) {
  for (int tile = 0; tile < tiles; tile++) {
    const T *blocks[kTileBlocks], *ahead[kTileBlocks];
    for (int i = 0; i < kTileBlocks; i++) {
      const int block = tile * kTileBlocks + i;
      blocks[i] = keys.of<T>(first + block);
      ahead[i] = keys.ahead_of<T>(first, block);
      if (keys.coarse) fetch(ahead[i] + keys.coarse_at(), keys.dim);
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
          const T* key = keys.of<T>(first + begin + i) + keys.coarse_at();
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
      const T* key = keys.of<T>(first + begin + i) + keys.coarse_at();
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

/// x[r * stride + i] = queries[r] . int8 key i, for `tiles` tiles of 16 keys.
inline void dot_lines(const PooledKeys& keys, const float* scales, int tiles, float* x,
                      int stride) {
  on_row_tiles<kInt8ScoreRows>(0, keys.group, [&]<int R>(int row) {
    float scores[R * kBlockTokens];
    const float* queries = keys.queries + row * keys.dim;
    const Tile tile{R, R, 0, keys.dim, keys.dim, queries, scores};
    const Int8Queries<R> integers(tile, 0);
    for (int first = 0; first < tiles; first++) {
      const unsigned char* lines = keys.lines + first * keys.dim * kLanes;
      score_int8<R, 1>(tile, 0, integers, {lines, lines}, scales + first * kLanes, 0);
      for (int r = 0; r < R; r++) {
        store(x + (row + r) * stride + first * kLanes, load(scores + r * kBlockTokens));
      }
    }
  });
}

/// dot_fine of int8 keys: brings 4 blocks' keys side by side, as a tile of 16 packed rows.
inline void dot_fine_int8(const PooledKeys& keys, int64_t first, int tiles, float* x) {
  constexpr int kPiece = 4 * kBlockWindows;
  float scales[kChunkSlots];
  for (int b = 0; b < tiles * kTileBlocks; b++) {
    const auto* pooled = keys.of<unsigned char>(first + b);
    const auto* ahead = keys.ahead_of<unsigned char>(first, b);
    fetch(ahead, keys.coarse_at() + (keys.coarse ? keys.dim : 0));
    fetch(ahead + keys.coarse_at() + keys.dim, 1);  // the scales
    unsigned char* lines =
        keys.lines + b / kTileBlocks * keys.dim * kLanes + b % kTileBlocks * kPiece;
    for (int d = 0; d < keys.dim; d += 4) {
      __builtin_memcpy(lines + d * kLanes, pooled + d * kBlockWindows, kPiece);
    }
    __builtin_memcpy(scales + b * kBlockWindows, keys.scales(first + b),
                     kBlockWindows * sizeof(float));
  }
  dot_lines(keys, scales, tiles, x, kChunkSlots);
}

inline void dot_coarse_int8(const PooledKeys& keys, int64_t first, int count, float* x) {
  float scales[kChunkBlocks];
  const int tiles = (count + kLanes - 1) / kLanes;
  for (int b = 0; b < tiles * kLanes; b++) {
    const auto* pooled = keys.of<unsigned char>(first + b) + keys.coarse_at();
    unsigned char* lines = keys.lines + b / kLanes * keys.dim * kLanes + b % kLanes * 4;
    for (int d = 0; d < keys.dim; d += 4) {
      __builtin_memcpy(lines + d * kLanes, pooled + d, 4);
    }
    scales[b] = keys.scales(first + b)[kBlockWindows];
  }
  dot_lines(keys, scales, tiles, x, kChunkBlocks);
}

}  // namespace minicpm::ISA
