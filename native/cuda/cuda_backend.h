#pragma once

#include <memory>

#include "native/backend/backend.h"
#include "native/backend/plugin.h"

namespace minicpm::cuda {

/// Runs ops on a CUDA device, all in one stream. Throws Error{kDevice, kOutOfMemory}.
std::unique_ptr<Backend> make_cuda_backend(int index);

/// Bytes of the device that it takes for itself, about.
int64_t scratch_bytes(const ScratchShape& shape);

}  // namespace minicpm::cuda
