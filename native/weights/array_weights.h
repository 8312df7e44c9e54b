// Matrices whose integers, scales and zero points lie in tensors of their own
// (kernels/quant_arrays.h), and how they are packed while they are loaded.
#pragma once

#include <memory>
#include <span>

#include "native/backend/backend.h"
#include "native/os/os.h"
#include "native/weights/weight_file.h"
#include "native/weights/weight_source.h"

namespace minicpm {

/// A matrix in arrays as it will be, its bytes at `data`: w8 or w4, its groups cut to those that
/// packed weights can have.
Tensor packed_arrays(const WeightSource& source, std::byte* data);

/// Repacks `source`, which is in arrays of the mapped `files`, into `to`. Throws Error{kCheckpoint}
/// naming a file and tensor where an array is not inside its file, or where a zero point is another
/// than the plan promised; Error{kShape} where rows or groups do not fit.
void repack_array_weight(std::span<const std::unique_ptr<os::MappedFile>> mapped,
                         std::span<const WeightFile> files, const WeightSource& source,
                         const Tensor& to, Backend& backend);

}  // namespace minicpm
