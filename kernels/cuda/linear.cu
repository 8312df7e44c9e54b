// y = residual + scale * (x weight^T) on CUDA, for few rows of x: which file multiplies is a matter
// of how the weights are stored.
#include "kernels/linear.h"

#include <string>

#include "kernels/cuda/linear_rows.h"
#include "kernels/cuda/ops.h"

namespace minicpm::cuda {

void linear(const Linear& op, Stream stream) {
  if (op.x.rows == 0) return;
  if (op.x.dtype != DType::f32) {
    throw Error(ErrorCode::kShape, std::string("linear: on CUDA x should be f32, is ") +
                                       name_of(op.x.dtype) +
                                       ". Run the model with activations in f32.");
  }
  if (is_packed(op.weight.dtype)) return linear_packed(op, stream);
  linear_float(op, stream);
}

}  // namespace minicpm::cuda
