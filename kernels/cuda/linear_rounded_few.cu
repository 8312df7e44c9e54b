// Linear with packed weights and few rows of int8 activations, on CUDA: a block per row tile of 16
// rows. Four threads share 32 columns, 16 bytes of each line at once, which are four rows; then a
// thread per row and token adds the dot products up in the order of the columns.
// Memory bound: the floor is the weights' bytes / bandwidth.
#include "kernels/cuda/linear_rounded.cuh"

namespace minicpm::cuda {

namespace {

constexpr int kRoundedThreads = 128;
constexpr int kThreadsOfBlock = 4;
constexpr int kRowsOfThread = static_cast<int>(kPackedRows) / kThreadsOfBlock;
constexpr int kBlocksAtOnce = kRoundedThreads / kThreadsOfBlock;
constexpr int kTileRows = static_cast<int>(kPackedRows);

/// Of the blocks at hand.
template <int kRows>
struct BlockDots {
  float dots[kRows][kTileRows];
  float scales[kTileRows], minimums[kTileRows];
};

/// Dot products of one block's four rows with each row of x from `first` on. `scales`: of the tile.
template <DType kFormat, int kRows>
DEVICE void dot_block(BlockDots<kRows>& to, const PackedMatrix& scales,
                      const unsigned char* lines_at, const RoundedRows& x, int64_t first, int rows,
                      int64_t block) {
  using Block = PackedBlock<kFormat>;
  constexpr int kLines = Block::kLines + Block::kPlanes;
  const int part = static_cast<int>(threadIdx.x) % kThreadsOfBlock;
  const unsigned char* integers = lines_at + block * packed_block_bytes(kFormat) + part * 16;
  Vector lines[kLines];
  UNROLL
  for (int i = 0; i < kLines; i++) lines[i] = load_vector(integers + i * kPackedLine);
  constexpr bool kHalves = kHasHalves<kFormat>;
  const int zero = packed_zero(kFormat, scales.scales);
  float steps[kRowsOfThread][2];
  UNROLL
  for (int r = 0; r < kRowsOfThread; r++) {
    const int lane = part * kRowsOfThread + r;
    const BlockScale scale(scales, 0, lane, block * kPackedColumns);
    to.scales[lane] = scale.scale, to.minimums[lane] = scale.minimum;
    if constexpr (kHalves) steps[r][0] = scale.steps[0], steps[r][1] = scale.steps[1];
  }
  for (int m = 0; m < rows; m++) {
    const RoundedRow row = x.row(first + m);
    const int64_t entry = x.group(row, block);
    const int sum = x.sums[entry], half = kHalves ? x.halves[entry] : 0;
    int32_t dots[2][kRowsOfThread];
    UNROLL
    for (int r = 0; r < kRowsOfThread; r++) {
      dots[0][r] = -zero * half, dots[1][r] = -zero * (sum - half);
    }
    UNROLL
    for (int step = 0; step < Block::kSteps; step++) {
      const uint32_t four = x.four(row, block * Block::kSteps + step);
      UNROLL
      for (int r = 0; r < kRowsOfThread; r++) {
        const uint32_t plane = Block::kUpper ? lines[Block::plane_of(step) % kLines].words[r] : 0;
        const uint32_t u = Block::four(lines[Block::line_of(step)].words[r], plane, step);
        int32_t& dot = dots[step < Block::kSteps / 2 && kHalves ? 0 : 1][r];
        dot = dot_u8_s8(u, four, dot);
      }
    }
    UNROLL
    for (int r = 0; r < kRowsOfThread; r++) {
      to.dots[m][part * kRowsOfThread + r] =
          kHalves ? both_halves(dots[0][r], dots[1][r], steps[r]) : static_cast<float>(dots[1][r]);
    }
  }
}

// grid: [row tiles], threads: [kRoundedThreads], dynamic shared memory: a tile's scales
template <DType kFormat, int kRows>
__global__ void linear_rounded_few_kernel(LinearOut out, RoundedRows x, int64_t first, int rows,
                                          PackedMatrix weight) {
  static_assert(kRows * kTileRows <= kRoundedThreads);
  DYNAMIC_SHARED(bytes);
  SHARED(BlockDots<kRows>, of_blocks, kBlocksAtOnce);
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread % kTileRows, m = thread / kTileRows;  // that this thread adds up
  const int64_t blocks = x.columns / kPackedColumns;
  const RoundedRow row = x.row(first + (m < rows ? m : 0));
  const unsigned char* tile = weight.tiles + int64_t{blockIdx.x} * weight.tile_bytes;
  const PackedMatrix scales = with_scales_in<kRoundedThreads>(bytes, weight, tile);
  float y = 0;
  for (int64_t begin = 0; begin < blocks; begin += kBlocksAtOnce) {
    const int64_t mine = begin + thread / kThreadsOfBlock;
    if (mine < blocks) {
      dot_block<kFormat>(of_blocks[thread / kThreadsOfBlock], scales, tile + weight.integers, x,
                         first, rows, mine);
    }
    __syncthreads();
    for (int64_t block = begin; m < rows && block < blocks && block < begin + kBlocksAtOnce;
         block++) {
      const BlockDots<kRows>& of = of_blocks[block - begin];
      const int64_t entry = x.group(row, block);
      y = add_block(y, of.dots[m % kRows][lane], of.scales[lane], of.minimums[lane], weight.scales,
                    x.scales[entry], x.sums[entry]);
    }
    __syncthreads();
  }
  const int64_t column = blockIdx.x * kPackedRows + lane;
  if (m < rows && column < out.columns) out.store(first + m, column, y);
}

}  // namespace

void linear_rounded_few(const Linear& op, Stream stream) {
  const auto tiles = static_cast<unsigned>(packed_tiles(op.weight.rows));
  const PackedMatrix weight = packed_matrix(op.weight);
  const Launch shape{{tiles}, {kRoundedThreads}, static_cast<size_t>(weight.integers), stream};
  with_packed_format(op.weight.dtype, [&]<DType kFormat>() {
    for (int64_t first = 0; first < op.x.rows; first += kMostRows) {
      const int64_t left = op.x.rows - first;
      const int rows = static_cast<int>(left < kMostRows ? left : kMostRows);
      const auto kernel = rows == 1 ? linear_rounded_few_kernel<kFormat, 1>
                                    : linear_rounded_few_kernel<kFormat, kMostRows>;
      launch(shape, kernel, linear_out(op), rounded_rows(op.x), first, rows, weight);
    }
  });
}

}  // namespace minicpm::cuda
