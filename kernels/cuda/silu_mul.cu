// SwiGLU's gate on CUDA. One thread per number.
// Memory bound: the floor is 3 * tokens * intermediate * 4 bytes / bandwidth.
#include "kernels/silu_mul.h"

#include "kernels/cuda/ops.h"
#include "kernels/cuda/silu.cuh"

namespace minicpm::cuda {

namespace {

constexpr int kSiluThreads = 256;

// grid: [numbers / kSiluThreads], threads: [kSiluThreads]. y may be gate.
__global__ void silu_mul_kernel(float* y, const float* gate, const float* up, int64_t count) {
  const int64_t i = int64_t{blockIdx.x} * kSiluThreads + threadIdx.x;
  if (i >= count) return;
  y[i] = silu_times(gate[i], up[i]);
}

}  // namespace

void silu_mul(const SiluMul& op, Stream stream) {
  const int64_t count = op.y.rows * op.y.columns;
  if (count == 0) return;
  const auto blocks = static_cast<unsigned>((count + kSiluThreads - 1) / kSiluThreads);
  launch({{blocks}, {kSiluThreads}, 0, stream}, silu_mul_kernel, op.y.as<float>(),
         op.gate.as<float>(), op.up.as<float>(), count);
}

}  // namespace minicpm::cuda
