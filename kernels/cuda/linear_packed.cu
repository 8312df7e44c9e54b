// Linear with packed weights (kernels/packed.h) on CUDA: a block per row tile of 16 rows, whose
// lines of 64 bytes its warps share out; four lanes read a line, 16 bytes each, which are columns
// of four rows. The tile's scales are in shared memory, read once, as each is for many lines.
// Memory bound: the floor is the weights' bytes / bandwidth.
#include "kernels/cuda/linear_rows.h"
#include "kernels/cuda/packed_matrix.cuh"

namespace minicpm::cuda {

namespace {

constexpr int kPackedWarps = 4;
constexpr int kLanesOfLine = 4;
constexpr int kRowsOfLane = 4;
constexpr int kLinesOfWarp = kWarp / kLanesOfLine;

/// What a lane holds of a line: columns [first, first + kColumns) of four rows.
template <DType kFormat>
struct PackedLine {
  using Block = PackedBlock<kFormat>;
  static constexpr int kSteps = Block::kStepsOfLine;
  static constexpr int kColumns = kSteps * static_cast<int>(kPackedStep);

  Vector low, high;  // of the line, and of the plane with the upper bits
  int first;         // step, in the block

  DEVICE PackedLine(const unsigned char* integers, int64_t line, int part)
      : high{}, first(static_cast<int>(line % Block::kLines) * kSteps) {
    const unsigned char* block =
        integers + line / Block::kLines * packed_block_bytes(kFormat) + part * 16;
    low = load_vector(block + Block::line_of(first) * kPackedLine);
    if constexpr (has_planes(kFormat)) {
      high = load_vector(block + Block::plane_of(first) * kPackedLine);
    }
  }

  /// The numbers u of row `r` in step `step` of the line, a byte each.
  DEVICE uint32_t four(int r, int step) const {
    return Block::four(low.words[r], high.words[r], first + step);
  }
};

/// Adds what one line gives to the sums of its four rows with each row of x.
template <DType kFormat, int kRows>
DEVICE void add_line(float (&sums)[kRows][kRowsOfLane], const LinearRows& op,
                     const PackedMatrix& scales, const unsigned char* lines, int64_t line) {
  using Line = PackedLine<kFormat>;
  const int part = static_cast<int>(threadIdx.x) % kLanesOfLine;
  const int64_t first = line * Line::kColumns;
  const int zero = packed_zero(kFormat, scales.scales);
  const Line integers(lines, line, part);
  float dots[kRows][kRowsOfLane] = {}, inputs[kRows] = {};
  UNROLL
  for (int step = 0; step < Line::kSteps; step++) {
    float q[kRowsOfLane][4];
    for (int r = 0; r < kRowsOfLane; r++) {
      const uint32_t four = integers.four(r, step);
      for (int c = 0; c < 4; c++) {
        q[r][c] = static_cast<float>(static_cast<int>(four >> (8 * c) & 255) - zero);
      }
    }
    UNROLL
    for (int row = 0; row < kRows; row++) {
      if (row >= op.rows) break;
      const Vector x = load_vector(op.x + row * op.in + first + step * 4);
      for (int c = 0; c < 4; c++) {
        const float input = __builtin_bit_cast(float, x.words[c]);
        inputs[row] += input;
        for (int r = 0; r < kRowsOfLane; r++) dots[row][r] = fmaf(q[r][c], input, dots[row][r]);
      }
    }
  }
  for (int r = 0; r < kRowsOfLane; r++) {
    const int64_t lane = part * kRowsOfLane + r;
    const float scale = scales.scale(0, lane, first);
    const float minimum = scales.minimum_of(0, lane, first);
    UNROLL
    for (int row = 0; row < kRows; row++) {
      sums[row][r] = fmaf(dots[row][r], scale, sums[row][r]);
      sums[row][r] = fmaf(-minimum, inputs[row], sums[row][r]);
    }
  }
}

// grid: [row tiles], threads: [kPackedWarps * 32], dynamic shared memory: a tile's scales
template <DType kFormat, int kRows>
__global__ void linear_packed_kernel(LinearRows op, PackedMatrix weight) {
  DYNAMIC_SHARED(bytes);
  SHARED(float, of_warps, kPackedWarps* kRows* static_cast<int>(kPackedRows));
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t tile = blockIdx.x, lines = op.in / PackedLine<kFormat>::kColumns;
  const unsigned char* given = weight.tiles + tile * weight.tile_bytes;
  const PackedMatrix scales = with_scales_in<kPackedWarps * kWarp>(bytes, weight, given);
  float sums[kRows][kRowsOfLane] = {};
  for (int64_t line = warp * kLinesOfWarp + lane / kLanesOfLine; line < lines;
       line += kPackedWarps * kLinesOfWarp) {
    add_line<kFormat>(sums, op, scales, given + weight.integers, line);
  }
  UNROLL
  for (int row = 0; row < kRows; row++) {
    for (int r = 0; r < kRowsOfLane; r++) {
      float sum = sums[row][r];
      for (int bits = kLanesOfLine; bits < kWarp; bits *= 2) {
        sum += __shfl_xor_sync(kAllLanes, sum, bits);
      }
      if (lane < kLanesOfLine) {
        of_warps[(warp * kRows + row) * kPackedRows + lane * kRowsOfLane + r] = sum;
      }
    }
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < kRows * static_cast<int>(kPackedRows);
       i += kPackedWarps * kWarp) {
    const int row = i / static_cast<int>(kPackedRows);
    const int64_t column = tile * kPackedRows + i % kPackedRows;
    if (row >= op.rows || column >= op.out.columns) continue;
    float sum = of_warps[i];
    for (int w = 1; w < kPackedWarps; w++) sum += of_warps[w * kRows * kPackedRows + i];
    op.out.store(row, column, sum);
  }
}

template <DType kFormat>
void multiply_packed(const Linear& op, Stream stream) {
  const auto tiles = static_cast<unsigned>(packed_tiles(op.weight.rows));
  const PackedMatrix weight = packed_matrix(op.weight);
  for_row_chunks(op, [&](const LinearRows& rows) {
    const Launch shape{
        {tiles}, {kPackedWarps * kWarp}, static_cast<size_t>(weight.integers), stream};
    const auto kernel = rows.rows == 1 ? linear_packed_kernel<kFormat, 1>
                                       : linear_packed_kernel<kFormat, kMostRows>;
    launch(shape, kernel, rows, weight);
  });
}

}  // namespace

void linear_packed(const Linear& op, Stream stream) {
  expect("linear", reinterpret_cast<uintptr_t>(op.x.data) % sizeof(Vector) == 0,
         "on CUDA x should start at a multiple of 16 bytes");
  with_packed_format(op.weight.dtype,
                     [&]<DType kFormat>() { multiply_packed<kFormat>(op, stream); });
}

}  // namespace minicpm::cuda
