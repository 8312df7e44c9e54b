// Activations rounded to int8 (kernels/quantize_rows.h) on CUDA: a warp per row and group of 32
// columns. The bytes are the definition's, but for `up`, where silu_mul is CUDA's.
// Memory bound: the floor is tokens * columns * (4 or, with up, 8 + 1.375 bytes) / bandwidth.
#include "kernels/quantize_rows.h"

#include "kernels/cuda/ops.h"
#include "kernels/cuda/rounded_rows.cuh"
#include "kernels/cuda/rounding.cuh"
#include "kernels/cuda/silu.cuh"

namespace minicpm::cuda {

namespace {

constexpr int kQuantizeWarps = 8;

// grid: [groups / kQuantizeWarps, rows], threads: [kQuantizeWarps * 32]
__global__ void quantize_rows_kernel(RoundedRows y, const float* x, const float* up) {
  const int64_t row = blockIdx.y, lane = threadIdx.x % kWarp;
  const int64_t group = int64_t{blockIdx.x} * kQuantizeWarps + threadIdx.x / kWarp;
  if (group * kQuantizedGroup >= y.columns) return;  // the whole warp
  const int64_t column = group * kQuantizedGroup + lane, at = row * y.columns + column;
  const float number = up ? silu_times(x[at], up[at]) : x[at];
  const Rounding rounding = rounding_of(warp_reduce(magnitude(number), Larger()));
  const int integer = rounding.integer(number);
  const int sum = warp_reduce(integer, Plus());
  const int half = warp_reduce(lane < kQuantizedGroup / 2 ? integer : 0, Plus());

  const RoundedRow place = y.row(row);
  y.integers[y.step(place, column / 4) + column % 4] = static_cast<int8_t>(integer);
  if (lane != 0) return;
  const int64_t entry = y.group(place, group);
  y.scales[entry] = rounding.scale;
  y.sums[entry] = sum;
  y.halves[entry] = half;
}

}  // namespace

void quantize_rows(const QuantizeRows& op, Stream stream) {
  const int64_t groups = op.x.columns / kQuantizedGroup;
  if (op.x.rows == 0 || groups == 0) return;
  const auto blocks = static_cast<unsigned>((groups + kQuantizeWarps - 1) / kQuantizeWarps);
  const Launch shape{
      {blocks, static_cast<unsigned>(op.x.rows)}, {kQuantizeWarps * kWarp}, 0, stream};
  launch(shape, quantize_rows_kernel, rounded_rows(op.y), op.x.as<float>(), op.up.as<float>());
}

}  // namespace minicpm::cuda
