// Many rows of int8 activations: 256 columns of two tiles are unpacked into L1 once and multiplied
// with all full blocks of six rows, whose float sums wait in memory from columns to columns.
//
// Each product then takes its weights as they lie, a broadcast of activations serves both tiles,
// and twelve sums of integers grow side by side: 96 of 132 vector operations of 32 columns are
// products. Unpacked in registers for every six rows it is 96 of 160.
#pragma once

#include "kernels/cpu/block_scales.h"
#include "kernels/cpu/linear_packed.h"
#include "kernels/quantize_rows.h"

namespace minicpm::ISA {

constexpr int64_t kUnpackedFrom = 4;  // blocks of six rows: for fewer, storing costs more

#if defined(__AVX512F__)

constexpr bool kUnpacks = true;
constexpr int64_t kUnpackedBlocks = 8;  // of 32 columns
constexpr int64_t kRowBlocks = 24;      // that a tile stays unpacked for

/// 32 columns of two tiles.
struct UnpackedBlock {
  Bytes steps[kSteps][kTilesAtOnce];
  BlockScales scales[kTilesAtOnce];
  Dots halves[kTilesAtOnce][2];  // the steps of w6's halves
};

template <DType F, Scales S>
inline void unpack_block(const unsigned char* tile, int64_t tile_bytes, const Tensor& weight,
                         int64_t block, UnpackedBlock& to) {
  const int shift = group_shift(S, weight.group);
  for (int r = 0; r < kTilesAtOnce; r++, tile += tile_bytes) {
    const PackedScales scales = packed_scales(tile, weight.columns, weight.group, S);
    const unsigned char* lines = tile + packed_scale_bytes(weight.columns, weight.group, S);
    load_steps<F>(lines + block * packed_block_bytes(F), r, to.steps);
    to.scales[r] = load_block_scales<S>(scales, 0, block, shift);
    if constexpr (S == Scales::two_level) {
      for (int half = 0; half < 2; half++) {
        to.halves[r][half] = load_scales(scales.step + (2 * block + half) * kPackedRows);
      }
    }
  }
}

/// Adds `blocks` unpacked blocks times six rows of x, from its column block `first` on, to y
/// [tiles][6][16].
template <DType F, Scales S>
inline void multiply_columns(const UnpackedBlock* weights, int64_t blocks, const QuantizedBlock& x,
                             int64_t first, float* y) {
  constexpr int R = kTilesAtOnce, M = kQuantizedRows;
  constexpr bool kHalved = S == Scales::two_level;
  const auto* integers = reinterpret_cast<const int32_t*>(x.integers) + first * kSteps * M;
  const float* x_scales = x.scales + first * M;
  const int32_t* x_sums = x.sums + first * M;
  const int32_t* x_halves = x.halves + first * M;
  int32_t starts[kUnpackedBlocks * M], half_starts[kUnpackedBlocks * M];
  for (int64_t i = 0; i < blocks * M; i++) {
    const int32_t half = kHalved ? x_halves[i] : 0;
    starts[i] = -packed_zero(F, S) * (x_sums[i] - half);
    if (kHalved) half_starts[i] = -packed_zero(F, S) * half;
  }

  Dots sums[R][M];
  for (int r = 0; r < R; r++) {
    for (int m = 0; m < M; m++) sums[r][m] = load_scales(y + (r * M + m) * kPackedRows);
  }
  for (int64_t block = 0; block < blocks; block++) {
    const UnpackedBlock& weight = weights[block];
    Dots dots[R][M];
    if constexpr (kHalved) {
      Dots first_half[R][M];
      dot<0, kSteps / 2>(weight.steps, integers, half_starts + block * M, first_half);
      dot<kSteps / 2, kSteps>(weight.steps, integers, starts + block * M, dots);
      for (int r = 0; r < R; r++) {
        for (int m = 0; m < M; m++) {
          dots[r][m] =
              add_stepped(first_half[r][m], weight.halves[r][0], dots[r][m], weight.halves[r][1]);
        }
      }
    } else {
      dot<0, kSteps>(weight.steps, integers, starts + block * M, dots);
    }
    for (int r = 0; r < R; r++) {
      for (int m = 0; m < M; m++) {
        sums[r][m] = add_block<S>(dots[r][m], weight.scales[r], x_scales[block * M + m],
                                  x_sums[block * M + m], sums[r][m]);
      }
    }
    integers += kSteps * M;
  }
  for (int r = 0; r < R; r++) {
    for (int m = 0; m < M; m++) store_dots(y + (r * M + m) * kPackedRows, sums[r][m]);
  }
}

/// Rows of y are far apart: their lines are on their way while the last columns are multiplied.
static inline void prefetch_outputs(const Linear& op, int64_t row, int64_t tile) {
  const float* y = static_cast<const float*>(op.y.data) + tile * kPackedRows;
  for (int64_t i = row; i < row + kQuantizedRows; i++) {
    for (int64_t r = 0; r < kTilesAtOnce; r++) {
      __builtin_prefetch(y + i * op.weight.rows + r * kPackedRows, 1, 3);
    }
  }
}

/// Tiles [first, last), an even number, times the first `full` blocks of rows.
template <DType F, Scales S>
void multiply_unpacked(const Linear& op, int64_t full, int64_t first, int64_t last) {
  constexpr int64_t kTile = kQuantizedRows * kPackedRows;
  const int64_t tile_bytes = packed_tile_bytes(op.weight);
  const int64_t all = op.weight.columns / kPackedColumns;
  const auto* tiles = static_cast<const unsigned char*>(op.weight.data);
  UnpackedBlock weights[kUnpackedBlocks];
  float y[kRowBlocks][kTilesAtOnce * kTile];
  for (int64_t from = 0; from < full; from += kRowBlocks) {
    const int64_t to = from + kRowBlocks < full ? from + kRowBlocks : full;
    for (int64_t tile = first; tile < last; tile += kTilesAtOnce) {
      for (int64_t i = 0; i < to - from; i++) {
        for (float& sum : y[i]) sum = 0;
      }
      for (int64_t block = 0; block < all; block += kUnpackedBlocks) {
        const int64_t blocks = all - block < kUnpackedBlocks ? all - block : kUnpackedBlocks;
        for (int64_t i = 0; i < blocks; i++) {
          unpack_block<F, S>(tiles + tile * tile_bytes, tile_bytes, op.weight, block + i,
                             weights[i]);
        }
        const bool ends = block + blocks == all;
        for (int64_t i = from; i < to; i++) {
          if (ends) prefetch_outputs(op, i * kQuantizedRows, tile);
          multiply_columns<F, S>(weights, blocks, quantized_block(op.x, i), block, y[i - from]);
          for (int64_t r = 0; ends && r < kTilesAtOnce; r++) {
            finish_tile(op, y[i - from] + r * kTile, i * kQuantizedRows, kQuantizedRows, tile + r);
          }
        }
      }
    }
  }
}

#else

constexpr bool kUnpacks = false;

#endif

}  // namespace minicpm::ISA
