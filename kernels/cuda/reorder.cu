// Columns in another order, on CUDA. One block per token.
// Memory bound: the floor is 2 * tokens * columns * 4 bytes / bandwidth; reads jump within a row,
// which the caches hold.
#include "kernels/reorder.h"

#include "kernels/cuda/ops.h"
#include "kernels/cuda/port.h"

namespace minicpm::cuda {

namespace {

constexpr int kReorderThreads = 256;

// grid: [tokens], threads: [kReorderThreads]
__global__ void reorder_kernel(float* y, const float* x, const int32_t* order, int64_t columns) {
  const int64_t row = int64_t{blockIdx.x} * columns;
  for (int64_t i = threadIdx.x; i < columns; i += kReorderThreads) y[row + i] = x[row + order[i]];
}

}  // namespace

void reorder(const ReorderColumns& op, Stream stream) {
  if (op.x.rows == 0) return;
  launch({{static_cast<unsigned>(op.x.rows)}, {kReorderThreads}, 0, stream}, reorder_kernel,
         op.y.as<float>(), op.x.as<float>(), op.order.as<int32_t>(), op.x.columns);
}

}  // namespace minicpm::cuda
