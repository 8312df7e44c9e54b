#include "native/weights/weight_source.h"

#include <cstring>

#include "kernels/half.h"
#include "kernels/packed.h"

namespace minicpm {
DType packed_dtype(StoredType type) {
  return type == StoredType::w8 ? DType::w8 : type == StoredType::w4 ? DType::w4 : DType::w2;
}

size_t stored_bytes(const WeightSource& source) {
  if (is_packed(source.type)) {
    return packed_bytes(packed_dtype(source.type), source.rows, source.columns, source.group);
  }
  return static_cast<size_t>(source.rows) * stored_row_bytes(source.type, source.columns);
}

size_t stored_row_bytes(StoredType type, int64_t columns) {
  const auto count = static_cast<size_t>(columns);
  switch (type) {
    case StoredType::f32:
      return 4 * count;
    case StoredType::f16:
    case StoredType::bf16:
      return 2 * count;
    default:
      if (is_in_arrays(type)) return count * static_cast<size_t>(array_bits(array_type(type))) / 8;
      return quant_row_bytes(quant_type(type), columns);
  }
}

int64_t stored_block(StoredType type) {
  if (is_packed(type) || is_in_arrays(type)) return kPackedColumns;
  return is_quantized(type) ? shape_of(quant_type(type)).elements : 1;
}

void dequantize_row(StoredType type, const std::byte* stored, int64_t columns, float* row) {
  switch (type) {
    case StoredType::f32:
      std::memcpy(row, stored, 4 * static_cast<size_t>(columns));
      return;
    case StoredType::f16:
    case StoredType::bf16:
      for (int64_t i = 0; i < columns; ++i) {
        uint16_t bits;
        std::memcpy(&bits, stored + 2 * i, sizeof(bits));
        row[i] = type == StoredType::f16 ? f16_to_f32(bits) : bf16_to_f32(bits);
      }
      return;
    default:
      dequantize(quant_type(type), stored, columns, row);
  }
}

}  // namespace minicpm
