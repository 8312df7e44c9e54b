// How matrices are packed while they are loaded, and one matrix packed out of its file.
#pragma once

#include <functional>

#include "native/backend/backend.h"
#include "native/os/os.h"
#include "native/weights/array_weights.h"
#include "native/weights/weight_file.h"
#include "native/weights/weight_source.h"

namespace minicpm {

/// `format` f32 rounds nothing: weights stay as the file has them, but for quantized matrices,
/// which are repacked as they are. Those in arrays always are, and those that are ternary become
/// w2, whatever the format.
struct Packing {
  DType format = DType::f32;  // of the layers' matrices: w8, w4 or w2
  int group = 128;            // columns that share a scale: 32, 64 or 128

  bool packs(const WeightSource& source) const {
    return format != DType::f32 && !source.is_vector() && !is_packed(source.type) &&
           !keeps_numbers(source);
  }

  /// Becomes packed with the integers and scales that its file has.
  bool repacks(const WeightSource& source) const {
    if (source.is_vector()) return false;
    return keeps_numbers(source) || (format == DType::f32 && is_quantized(source.type));
  }

  /// Head and embedding are w8 whatever the layers are: an int4 head costs a KL of 3e-2, this one
  /// 1e-4.
  DType format_of(const WeightSource& source) const {
    return source.name == "head" || source.name == "embed" ? DType::w8 : format;
  }

  /// A matrix that is packed or repacked as it will be, its bytes at `data`.
  Tensor packed(const WeightSource& source, std::byte* data = nullptr) const {
    if (is_in_arrays(source.type)) return packed_arrays(source, data);
    if (source.ternary_group > 0) {
      return {data, DType::w2, source.rows, source.columns, source.ternary_group};
    }
    if (repacks(source)) {
      const QuantShape shape = shape_of(quant_type(source.type));
      return {data, shape.format, source.rows, source.columns, shape.group, shape.scales};
    }
    return {data, format_of(source), source.rows, source.columns, group};
  }

 private:
  static bool keeps_numbers(const WeightSource& source) {
    return is_in_arrays(source.type) || source.ternary_group > 0;
  }
};

/// Rows of a matrix; `first` is a multiple of 16.
struct RowRange {
  int64_t first;
  int64_t count;
};

/// Decodes `rows` of `source`, whose bytes are inside `file` and not packed, to f32, in our order
/// of rows.
void read_rows(const os::MappedFile& file, const WeightSource& source, RowRange rows, float* to);

/// Packs `rows` of `source`, whose bytes are inside `file`, into `to`: in slabs of a few MiB whose
/// pages of the file are given back. Rows stored interleaved are put in order. `packed(rows)` is
/// called after each slab.
void pack_weight(const os::MappedFile& file, const WeightSource& source, RowRange rows,
                 const Tensor& to, Backend& backend, const std::function<void(int64_t)>& packed);

/// Repacks `source`, whose type is quantized and whose bytes are inside `file`, into `to`;
/// otherwise like pack_weight.
void repack_weight(const os::MappedFile& file, const WeightSource& source, const Tensor& to,
                   Backend& backend, const std::function<void(int64_t)>& packed);

/// Packs `source`, whose bytes are inside `file`, into `to`, which is w2; false where its numbers
/// are not ternary after all.
bool pack_ternary_weight(const os::MappedFile& file, const WeightSource& source, const Tensor& to,
                         Backend& backend);

/// The same as f32, f16 or bf16, rounded to nearest; any first row. Throws Error{kCheckpoint}.
Buffer read_rows_as(const WeightFile& file, const WeightSource& source, RowRange rows, DType type);

/// The bytes of those rows, packed as `packing.format`, whatever the matrix's name. Throws
/// Error{kCheckpoint, kShape} as Weights does.
Buffer pack_rows(const WeightFile& file, const WeightSource& source, const Packing& packing,
                 RowRange rows, Backend& backend);

}  // namespace minicpm
