// A checkpoint's tensor before it is loaded: where its bytes are and how they are coded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "kernels/quant_arrays.h"
#include "kernels/quant_blocks.h"
#include "kernels/tensor.h"

namespace minicpm {

/// How a checkpoint stores numbers. The quantized ones are those of kernels/quant_blocks.h and then
/// of kernels/quant_arrays.h, in their order. The packed ones are kernels/packed.h's, whole
/// matrices at multiples of 64 bytes.
enum class StoredType : uint8_t {
  f32,
  f16,
  bf16,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q8_0,
  q4_k,
  q5_k,
  q6_k,
  tq1_0,
  tq2_0,
  gptq4,
  gptq8,
  awq4,
  marlin4,
  w8,
  w4,
  w2
};

/// Where a tensor begins.
struct TensorPlace {
  int file = 0;  // index into the plan's files
  size_t offset = 0;
};

/// The rest of a matrix in arrays, whose integers are where its source says.
struct ArrayParts {
  int64_t rows = 0;        // of the arrays: more than the matrix has where several lie in one
  int64_t first_row = 0;   // where it begins there: a multiple of 16
  int64_t group = 0;       // columns that share a scale
  bool symmetric = false;  // every zero point is 2^(bits - 1)
  TensorPlace scales;
  bool bf16_scales = false;  // f16 else
  std::optional<TensorPlace> zeros;
  int added_to_zeros = 0;
  /// i32 [columns], each column's group, where groups are not neighbours.
  std::optional<TensorPlace> column_groups;
};

struct WeightSource {
  std::string name;  // ours: "layers.3.attn.q"
  int file = 0;      // index into the plan's files
  size_t offset = 0;
  StoredType type = StoredType::f32;
  int64_t rows = 1;
  int64_t columns = 0;
  /// Rows are interleaved RoPE pairs of this many heads (0: they are not): per head, stored row 2i
  /// is row i, stored row 2i + 1 is row i + head_dim / 2.
  int interleaved_heads = 0;
  int group = 0;           // columns that share a scale, where it is packed: 32, 64 or 128
  ArrayParts arrays = {};  // where it is in arrays
  /// Float numbers that look ternary, with a scale for so many columns: 32, 64 or 128; 0: they do
  /// not.
  int ternary_group = 0;

  bool is_vector() const { return rows == 1; }
};

/// In tiles that the CPU multiplies as they lie.
inline bool is_packed(StoredType type) {
  return type >= StoredType::w8;
}

/// In quant blocks.
inline bool is_quantized(StoredType type) {
  return type >= StoredType::q4_0 && type <= StoredType::tq2_0;
}

/// In arrays for integers, scales and zero points.
inline bool is_in_arrays(StoredType type) {
  return type >= StoredType::gptq4 && type <= StoredType::marlin4;
}

/// Of a quantized type.
inline QuantType quant_type(StoredType type) {
  return static_cast<QuantType>(static_cast<int>(type) - static_cast<int>(StoredType::q4_0));
}

/// Of a type in arrays.
inline ArrayType array_type(StoredType type) {
  return static_cast<ArrayType>(static_cast<int>(type) - static_cast<int>(StoredType::gptq4));
}

/// A row holds a multiple of so many numbers.
int64_t stored_block(StoredType type);

/// Of a packed type: w8, w4 or w2.
DType packed_dtype(StoredType type);

/// Bytes of `columns` numbers as stored, whole blocks, without the scales of arrays; packed rows
/// have no bytes of their own.
size_t stored_row_bytes(StoredType type, int64_t columns);

size_t stored_bytes(const WeightSource& source);

/// Decodes one stored row of `columns` numbers to f32.
void dequantize_row(StoredType type, const std::byte* stored, int64_t columns, float* row);

}  // namespace minicpm
