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

/// Repacks `source`, which is in arrays of the mapped `files`, into `to`. Columns whose groups are
/// not neighbours are put in order: `order`, which is null for others, becomes the one that inputs
/// have to have. Throws Error{kCheckpoint} naming a file and tensor where an array is not inside
/// its file, a zero point is another than the plan promised, or groups have no whole numbers of
/// columns; Error{kShape} where rows or groups do not fit.
void repack_array_weight(std::span<const std::unique_ptr<os::MappedFile>> mapped,
                         std::span<const WeightFile> files, const WeightSource& source,
                         const Tensor& to, int32_t* order, Backend& backend);

}  // namespace minicpm
