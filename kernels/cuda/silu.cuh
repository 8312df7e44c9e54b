// SwiGLU's gate of one number.
#pragma once

#include <cmath>

#include "kernels/cuda/port.h"

namespace minicpm::cuda {

DEVICE float silu_times(float gate, float up) {
  return gate / (1 + expf(-gate)) * up;
}

}  // namespace minicpm::cuda
