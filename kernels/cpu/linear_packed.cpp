// Linear with packed weights and int8 activations: integer lanes are weight rows, so sums never
// cross lanes, and a tile of weights is read straight through.
//
// 32 columns of weights are unpacked into registers and multiplied with up to 6 rows of
// activations, whose float sums stay in registers over all columns; sets with room for it do so
// with two tiles side by side. For every 6 rows weights are unpacked anew: the packed weights of an
// item stay in L2, a block of activations in L1. Sets of 512-bit vectors unpack them once for all
// where rows are many (linear_unpacked.h).
#include "kernels/cpu/linear_packed.h"

#include <algorithm>

#include "kernels/cpu/linear_unpacked.h"
#include "kernels/cpu/parallel.h"
#include "kernels/quantize_rows.h"

namespace minicpm::ISA {

namespace {

constexpr int64_t kItemBytes = 1 << 18;  // most weights of an item, many passes: they stay in L2
constexpr int64_t kStreamBytes = 1
                                 << 20;  // the same, one pass: a stream loses a little at its start
constexpr int64_t kLeastBytes = 1 << 15;  // less than this, times the rows, is not worth a thread
constexpr int64_t kAhead = 4096;          // bytes of weights prefetched ahead

/// Adds all columns of R neighbouring tiles times the M rows of x; y is [R][M][16].
template <DType F, Scales S, int R, int M>
void multiply(const unsigned char* tile, const Linear& op, const QuantizedBlock& x, float* y) {
  constexpr int64_t kBlockBytes = packed_block_bytes(F), kVectors = R * kParts;
  constexpr int64_t kBlocksAhead = (kAhead + kBlockBytes - 1) / kBlockBytes;
  const int64_t columns = op.weight.columns, tile_bytes = packed_tile_bytes(op.weight);
  const int group = op.weight.group, shift = group_shift(S, group);
  PackedScales scales[R];
  for (int r = 0; r < R; r++) scales[r] = packed_scales(tile + r * tile_bytes, columns, group, S);
  const unsigned char* lines = tile + packed_scale_bytes(columns, group, S);
  const auto* integers = reinterpret_cast<const int32_t*>(x.integers);

  Dots sums[kVectors][M];
  for (int v = 0; v < kVectors; v++) {
    for (int m = 0; m < M; m++) sums[v][m] = no_dots();
  }
  const int64_t blocks = columns / kPackedColumns;
  const int64_t jump = blocks > kBlocksAhead ? blocks - kBlocksAhead : 0;
  for (int64_t block = 0; block < blocks; block++) {
    BlockScales weights[kVectors];
    for (int v = 0; v < kVectors; v++) {
      weights[v] = load_block_scales<S>(scales[v / kParts], v % kParts, block, shift);
    }
    // The end of a tile is followed by what is read already, and that by the next tile.
    const unsigned char* ahead = lines + kAhead + (block >= jump ? (R - 1) * tile_bytes : 0);
    for (int r = 0; r < R; r++) {
      for (int64_t line = 0; line < kBlockBytes; line += kPackedLine) {
        __builtin_prefetch(ahead + r * tile_bytes + line, 0, 3);
      }
    }
    const float* x_scales = x.scales + block * M;
    const int32_t* x_sums = x.sums + block * M;
    const RoundedColumns rounded{integers, x_sums, x.halves + block * M};
    const auto add = [&](int v, int m, Dots dot) {
      sums[v][m] = add_block<S>(dot, weights[v], x_scales[m], x_sums[m], sums[v][m]);
    };
    if constexpr (S == Scales::two_level) {
      const int8_t* steps = scales[0].step + 2 * block * kPackedRows;
      each_stepped_dot<F, R, M>(lines, steps, tile_bytes, rounded, add);
    } else {
      each_dot<F, packed_zero(F, S), R, M>(lines, tile_bytes, rounded, add);
    }
    lines += kBlockBytes;
    integers += kSteps * M;
  }
  for (int v = 0; v < kVectors; v++) {
    for (int m = 0; m < M; m++) {
      store_dots(y + (v / kParts * M + m) * kPackedRows + v % kParts * kPartRows, sums[v][m]);
    }
  }
}

/// Tiles [first, last) times all rows of x, block by block.
template <DType F, Scales S, int M>
void multiply_block(const Linear& op, int64_t block, int64_t first, int64_t last) {
  constexpr int R = kTilesAtOnce;
  const QuantizedBlock x = quantized_block(op.x, block);
  const int64_t tile_bytes = packed_tile_bytes(op.weight);
  const auto* tiles = static_cast<const unsigned char*>(op.weight.data);
  float y[R * M * kPackedRows];
  for (int64_t i = 0; i < kAhead; i += kPackedLine) {
    __builtin_prefetch(tiles + first * tile_bytes + i, 0, 3);
  }
  const int64_t row = block * kQuantizedRows;
  int64_t tile = first;
  for (; tile + R <= last; tile += R) {
    multiply<F, S, R, M>(tiles + tile * tile_bytes, op, x, y);
    for (int r = 0; r < R; r++) finish_tile(op, y + r * M * kPackedRows, row, M, tile + r);
  }
  for (; tile < last; tile++) {
    multiply<F, S, 1, M>(tiles + tile * tile_bytes, op, x, y);
    finish_tile(op, y, row, M, tile);
  }
}

template <DType F, Scales S = Scales::symmetric>
void multiply_tiles(const Linear& op, int64_t first, int64_t last) {
  using Multiply = void (*)(const Linear&, int64_t, int64_t, int64_t);
  constexpr Multiply kMultiply[] = {multiply_block<F, S, 1>, multiply_block<F, S, 2>,
                                    multiply_block<F, S, 3>, multiply_block<F, S, 4>,
                                    multiply_block<F, S, 5>};
  const int64_t full = op.x.rows / kQuantizedRows;
  const auto left = static_cast<int>(op.x.rows % kQuantizedRows);
  int64_t unpacked = first;  // tiles before this one are done with all full blocks
  if constexpr (kUnpacks) {
    if (full >= kUnpackedFrom) {
      unpacked = last - (last - first) % kTilesAtOnce;
      multiply_unpacked<F, S>(op, full, first, unpacked);
    }
  }
  for (int64_t block = 0; block < full && unpacked < last; block++) {
    multiply_block<F, S, kQuantizedRows>(op, block, unpacked, last);
  }
  if (left > 0) kMultiply[left - 1](op, full, first, last);
}

/// w8, w5 and w4, whose scales are of several kinds.
template <DType F>
void multiply_tiles_by_scales(const Linear& op, int64_t first, int64_t last) {
  switch (op.weight.scales) {
    case Scales::minimum:
      if constexpr (F != DType::w8) return multiply_tiles<F, Scales::minimum>(op, first, last);
      return;
    case Scales::zero_point:
      if constexpr (F != DType::w5) return multiply_tiles<F, Scales::zero_point>(op, first, last);
      return;
    case Scales::two_level_minimum:
      if constexpr (F != DType::w8)
        return multiply_tiles<F, Scales::two_level_minimum>(op, first, last);
      return;
    default:
      return multiply_tiles<F>(op, first, last);
  }
}

/// Tiles of an item: items are of one size, and as many for each thread where there is work for
/// all. For one pass, 2 a thread and not 4: the layers of MiniCPM4-0.5B are read at 47 instead of
/// 42 GB/s (Zen 4, where plain reading reaches 57).
int64_t tiles_of_item(const Linears& op, int threads) {
  const Linear& first = op.parts[0];
  const bool one_pass = first.x.rows <= kQuantizedRows;
  int64_t tiles = 0;
  for (int i = 0; i < op.count; i++) tiles += packed_tiles(op.parts[i].weight.rows);
  const int64_t bytes = tiles * packed_tile_bytes(first.weight);
  const int64_t large = bytes / threads / (one_pass ? kStreamBytes : kItemBytes) + 1;
  const int64_t items = std::min(threads * std::max(large, int64_t{one_pass ? 2 : 4}),
                                 bytes * first.x.rows / kLeastBytes + 1);
  return (tiles + 2 * items - 1) / (2 * items) * 2;
}

}  // namespace

void finish_rows(const Linear& op, const float* y, int64_t at, int count) {
  const f32x16 scaled = broadcast(op.scale) * load(y);
  float* to = static_cast<float*>(op.y.data) + at;
  const auto* residual = static_cast<const float*>(op.residual.data);
  store_first(to, residual ? load_first(residual + at, count) + scaled : scaled, count);
}

void finish_tile(const Linear& op, const float* y, int64_t row, int64_t rows, int64_t tile) {
  const int64_t out = op.weight.rows, first = tile * kPackedRows, left = out - first;
  for (int64_t i = 0; i < rows; i++) {
    finish_rows(op, y + i * kPackedRows, (row + i) * out + first,
                static_cast<int>(left < kPackedRows ? left : kPackedRows));
  }
}

void linears_rounded(const Linears& op, Workers& workers) {
  if (op.parts[0].x.rows == 0) return;
  const int64_t tiles = tiles_of_item(op, workers.threads());
  int64_t items = 0, ends[3];
  for (int i = 0; i < op.count; i++) {
    items += (packed_tiles(op.parts[i].weight.rows) + tiles - 1) / tiles;
    ends[i] = items;
  }
  auto item = [&](int i, int) {
    int part = 0;
    while (i >= ends[part]) part++;
    const Linear& linear = op.parts[part];
    const int64_t all = packed_tiles(linear.weight.rows);
    const int64_t first = (i - (part > 0 ? ends[part - 1] : 0)) * tiles;
    const int64_t last = first + tiles < all ? first + tiles : all;
    switch (linear.weight.dtype) {
      case DType::w8:
        return multiply_tiles_by_scales<DType::w8>(linear, first, last);
      case DType::w6:
        return multiply_tiles<DType::w6, Scales::two_level>(linear, first, last);
      case DType::w5:
        return multiply_tiles_by_scales<DType::w5>(linear, first, last);
      case DType::w4:
        return multiply_tiles_by_scales<DType::w4>(linear, first, last);
      default:
        return multiply_tiles<DType::w2>(linear, first, last);
    }
  };
  for_each(workers, static_cast<int>(items), item);
}

}  // namespace minicpm::ISA
