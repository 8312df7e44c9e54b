// RMSNorm on CUDA. One block per token: sum the squares, then scale the row.
// Memory bound: the floor is 2 * tokens * hidden * 4 bytes / bandwidth; the second read of x comes
// from the caches.
#include "kernels/rms_norm.h"

#include "kernels/cuda/ops.h"
#include "kernels/cuda/reduce.cuh"

namespace minicpm::cuda {

namespace {

constexpr int kNormThreads = 256;

// grid: [tokens], threads: [kNormThreads]. y may be x.
__global__ void rms_norm_kernel(float* y, const float* x, const float* weight, int64_t hidden,
                                float eps) {
  const int64_t row = int64_t{blockIdx.x} * hidden;
  float square_sum = 0;
  for (int64_t i = threadIdx.x; i < hidden; i += kNormThreads) {
    square_sum = fmaf(x[row + i], x[row + i], square_sum);
  }
  const float mean = block_reduce<kNormThreads>(square_sum, Plus()) / static_cast<float>(hidden);
  const float scale = 1 / sqrtf(mean + eps);
  for (int64_t i = threadIdx.x; i < hidden; i += kNormThreads) {
    y[row + i] = x[row + i] * scale * weight[i];
  }
}

}  // namespace

void rms_norm(const RmsNorm& op, Stream stream) {
  if (op.x.rows == 0) return;
  launch({{static_cast<unsigned>(op.x.rows)}, {kNormThreads}, 0, stream}, rms_norm_kernel,
         op.y.as<float>(), op.x.as<float>(), op.weight.as<float>(), op.x.columns, op.eps);
}

}  // namespace minicpm::cuda
