// Linear with packed weights and many rows of int8 activations, on CUDA's tensor cores: a warp has
// a row tile of 16 rows and 48 tokens. 32 columns of a tile are one operand of mma, whose columns
// may stand in any order as long as those of the other do: lane l has steps 2 (l % 4) and the next,
// which most formats hold in one word. Activations come through shared memory, which the four warps
// of a block read.
// Bound by arithmetic: the floor is 2 * tokens * out * in / the int8 peak.
#include "kernels/cuda/linear_rounded.cuh"

namespace minicpm::cuda {

namespace {

constexpr int kManyWarps = 4;
constexpr int kTokenBlocks = 8;  // blocks of 6 rows of x
constexpr int kTokens = kTokenBlocks * static_cast<int>(kQuantizedRows);
constexpr int kTokenTiles = kTokens / 8;
constexpr int kTokenStageColumns = 128;
constexpr int kTokenStage = kTokens * kTokenStageColumns;
constexpr int kRowBlockStage = kTokenStage / kTokenBlocks;

/// Has columns [column, column + count) of the tokens from `first` on on their way.
DEVICE void fetch_tokens(unsigned char* stage, const RoundedRows& x, int64_t first, int64_t column,
                         int64_t count) {
  for (int block = 0; block < kTokenBlocks; block++) {
    const int64_t from = first + block * kQuantizedRows;
    if (from >= x.rows) break;
    const RoundedRow row = x.row(from);
    const int8_t* integers = x.integers + x.step(row, column / 4);
    for (int64_t i = int64_t{threadIdx.x} * 16; i < count * row.rows;
         i += kManyWarps * kWarp * 16) {
      copy_async(stage + block * kRowBlockStage + i, integers + i);
    }
  }
}

/// A warp's tile of y, and what its lane needs for it: rows lane / 4 and 8 more of the weights;
/// tokens 2 (lane % 4) and the next of each eight.
template <DType kFormat>
struct TokenTiles {
  const RoundedRows& x;
  int64_t first;  // token
  int lane;
  float sums[kTokenTiles][4] = {};

  /// Of the i-th token (0 or 1) of tile `tile`; one beyond the last is the last.
  DEVICE RoundedRow token(int tile, int i) const { return row(tile * 8 + lane % 4 * 2 + i); }
  DEVICE RoundedRow row(int in_tiles) const {
    const int64_t token = first + in_tiles;
    return x.row(token < x.rows ? token : x.rows - 1);
  }

  /// Adds 32 columns, the `block`-th of the matrix, `in_stage`-th of those staged.
  DEVICE void add(const PackedMatrix& weight, int64_t tile, int64_t block,
                  const unsigned char* stage, int in_stage) {
    using Block = PackedBlock<kFormat>;
    const int step = lane % 4 * 2;
    const unsigned char* integers = weight.tiles + tile * weight.tile_bytes + weight.integers +
                                    block * packed_block_bytes(kFormat);
    uint32_t a[4];
    UNROLL
    for (int i = 0; i < 4; i++) {
      const int s = step + i / 2, word = lane / 4 + i % 2 * 8;
      const auto word_of = [&](int line) {
        return reinterpret_cast<const uint32_t*>(integers + line * kPackedLine)[word];
      };
      const uint32_t plane = Block::kUpper ? word_of(Block::plane_of(s)) : 0;
      a[i] = Block::four(word_of(Block::line_of(s)), plane, s);
    }
    const int64_t column = block * kPackedColumns;
    const BlockScale upper(weight, tile, lane / 4, column),
        lower(weight, tile, lane / 4 + 8, column);
    const int zero = packed_zero(kFormat, weight.scales);
    UNROLL
    for (int t = 0; t < kTokenTiles; t++) {
      const int64_t entries[] = {x.group(token(t, 0), block), x.group(token(t, 1), block)};
      const int32_t of_tokens[] = {x.sums[entries[0]], x.sums[entries[1]]};
      const RoundedRow row = this->row(t * 8 + lane / 4);
      const auto* four = reinterpret_cast<const uint32_t*>(
          stage + (row.first - first) / kQuantizedRows * kRowBlockStage);
      const int64_t at = (in_stage * Block::kSteps + step) * row.rows + row.number;
      const uint32_t b[] = {four[at], four[at + row.rows]};
      float dots[4];
      if constexpr (kHasHalves<kFormat>) {
        // Lanes of the other half of the columns give zeros.
        int32_t first_half[4], last_half[4];
        UNROLL
        for (int i = 0; i < 4; i++) {
          const int32_t half = x.halves[entries[i % 2]];
          first_half[i] = -zero * half, last_half[i] = -zero * (of_tokens[i % 2] - half);
        }
        const bool in_first = step < Block::kSteps / 2;
        const uint32_t a_first[] = {in_first ? a[0] : 0, in_first ? a[1] : 0, in_first ? a[2] : 0,
                                    in_first ? a[3] : 0};
        const uint32_t a_last[] = {in_first ? 0 : a[0], in_first ? 0 : a[1], in_first ? 0 : a[2],
                                   in_first ? 0 : a[3]};
        multiply_u8_s8(first_half, a_first, b);
        multiply_u8_s8(last_half, a_last, b);
        UNROLL
        for (int i = 0; i < 4; i++) {
          dots[i] = both_halves(first_half[i], last_half[i], (i < 2 ? upper : lower).steps);
        }
      } else {
        int32_t exact[4];
        UNROLL
        for (int i = 0; i < 4; i++) exact[i] = -zero * of_tokens[i % 2];
        multiply_u8_s8(exact, a, b);
        UNROLL
        for (int i = 0; i < 4; i++) dots[i] = static_cast<float>(exact[i]);
      }
      UNROLL
      for (int i = 0; i < 4; i++) {
        const BlockScale& scale = i < 2 ? upper : lower;
        sums[t][i] = add_block(sums[t][i], dots[i], scale.scale, scale.minimum, weight.scales,
                               x.scales[entries[i % 2]], of_tokens[i % 2]);
      }
    }
  }
};

// grid: [row tiles / kManyWarps, tokens / kTokens], threads: [kManyWarps * 32]
template <DType kFormat>
__global__ void linear_rounded_many_kernel(LinearOut out, RoundedRows x, PackedMatrix weight) {
  SHARED(Vector, stages, 2 * kTokenStage / static_cast<int>(sizeof(Vector)));
  auto* const memory = reinterpret_cast<unsigned char*>(stages);
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t tile = int64_t{blockIdx.x} * kManyWarps + threadIdx.x / kWarp;
  const int64_t tiles = packed_tiles(out.columns), first = int64_t{blockIdx.y} * kTokens;
  const int64_t columns = x.columns;
  const auto staged = [&](int64_t column) {
    return columns - column < kTokenStageColumns ? columns - column : kTokenStageColumns;
  };
  TokenTiles<kFormat> tokens{x, first, lane};
  fetch_tokens(memory, x, first, 0, staged(0));
  commit_copies();
  int side = 0;
  for (int64_t column = 0; column < columns; column += kTokenStageColumns, side ^= 1) {
    const int64_t next = column + kTokenStageColumns;
    if (next < columns)
      fetch_tokens(memory + (side ^ 1) * kTokenStage, x, first, next, staged(next));
    commit_copies();
    wait_copies<1>();
    __syncthreads();
    const auto blocks = static_cast<int>(staged(column) / kPackedColumns);
    for (int i = 0; i < blocks; i++) {
      // A warp without a tile goes along with the last.
      tokens.add(weight, tile < tiles ? tile : tiles - 1, column / kPackedColumns + i,
                 memory + side * kTokenStage, i);
    }
    __syncthreads();
  }
  if (tile >= tiles) return;
  UNROLL
  for (int t = 0; t < kTokenTiles; t++) {
    UNROLL
    for (int i = 0; i < 4; i++) {
      const int64_t token = first + t * 8 + lane % 4 * 2 + i % 2;
      const int64_t column = tile * kPackedRows + lane / 4 + i / 2 * 8;
      if (token < x.rows && column < out.columns) out.store(token, column, tokens.sums[t][i]);
    }
  }
}

}  // namespace

void linear_rounded_many(const Linear& op, Stream stream) {
  const int64_t tiles = packed_tiles(op.weight.rows);
  const Launch shape{{static_cast<unsigned>((tiles + kManyWarps - 1) / kManyWarps),
                      static_cast<unsigned>((op.x.rows + kTokens - 1) / kTokens)},
                     {kManyWarps * kWarp},
                     0,
                     stream};
  with_packed_format(op.weight.dtype, [&]<DType kFormat>() {
    launch(shape, linear_rounded_many_kernel<kFormat>, linear_out(op), rounded_rows(op.x),
           packed_matrix(op.weight));
  });
}

}  // namespace minicpm::cuda
