// Rotary position embedding on CUDA. One thread per pair of numbers that turn together.
// Memory bound: the floor is (2 * tokens * heads * head_dim + tokens * head_dim) * 4 bytes /
// bandwidth.
#include "kernels/rope.h"

#include "kernels/cuda/ops.h"
#include "kernels/cuda/port.h"

namespace minicpm::cuda {

namespace {

constexpr int kRopeThreads = 128;

// grid: [tokens, pairs of a row / kRopeThreads], threads: [kRopeThreads]
__global__ void rope_kernel(float* x, const float* cosines, const float* sines, int64_t columns,
                            int head_dim) {
  const int half = head_dim / 2;
  const int64_t pair = int64_t{blockIdx.y} * kRopeThreads + threadIdx.x;
  if (pair >= columns / 2) return;
  const int64_t i = pair % half, angle = int64_t{blockIdx.x} * half + i;
  float* low = x + int64_t{blockIdx.x} * columns + pair / half * head_dim + i;
  const float a = low[0], b = low[half], cosine = cosines[angle], sine = sines[angle];
  low[0] = fmaf(-b, sine, a * cosine);
  low[half] = fmaf(a, sine, b * cosine);
}

}  // namespace

void rope(const Rope& op, Stream stream) {
  if (op.x.rows == 0) return;
  const auto parts = static_cast<unsigned>((op.x.columns / 2 + kRopeThreads - 1) / kRopeThreads);
  launch({{static_cast<unsigned>(op.x.rows), parts}, {kRopeThreads}, 0, stream}, rope_kernel,
         op.x.as<float>(), op.cos.as<float>(), op.sin.as<float>(), op.x.columns, op.head_dim);
}

}  // namespace minicpm::cuda
