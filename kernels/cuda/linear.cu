// y = residual + scale * (x weight^T) on CUDA: which file multiplies is a matter of how weights and
// x are stored, and of the rows of x.
#include "kernels/linear.h"

#include "kernels/cuda/linear_rounded.cuh"
#include "kernels/cuda/ops.h"

namespace minicpm::cuda {

namespace {

/// Up to here the weights are read again for every 8 rows.
constexpr int64_t kFewRows = 16;

}  // namespace

void linear(const Linear& op, Stream stream) {
  if (op.x.rows == 0) return;
  if (op.x.dtype == DType::a8) {
    return op.x.rows <= kFewRows ? linear_rounded_few(op, stream) : linear_rounded_many(op, stream);
  }
  if (is_packed(op.weight.dtype)) return linear_packed(op, stream);
  linear_float(op, stream);
}

}  // namespace minicpm::cuda
