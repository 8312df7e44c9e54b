#include "native/weights/weight_source.h"

#include <cstring>

#include "kernels/half.h"
#include "kernels/packed.h"

namespace minicpm {
namespace {

constexpr int kQuantBlock = 32;

float read_f16(const std::byte* at) {
  uint16_t bits;
  std::memcpy(&bits, at, sizeof(bits));
  return f16_to_f32(bits);
}

/// 16 bytes hold 32 nibbles: number i in the low half of byte i, number i + 16 in the high half.
void unpack_nibbles(const std::byte* packed, float scale, float minimum, float* row) {
  for (int i = 0; i < kQuantBlock / 2; ++i) {
    const auto byte = static_cast<uint8_t>(packed[i]);
    row[i] = scale * static_cast<float>(byte & 15) + minimum;
    row[i + kQuantBlock / 2] = scale * static_cast<float>(byte >> 4) + minimum;
  }
}

size_t block_bytes(StoredType type) {
  switch (type) {
    case StoredType::q8_0:
      return 2 + kQuantBlock;
    case StoredType::q4_0:
      return 2 + kQuantBlock / 2;
    case StoredType::q4_1:
      return 4 + kQuantBlock / 2;
    default:
      return 0;
  }
}

}  // namespace

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
      return count / kQuantBlock * block_bytes(type);
  }
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
      break;
  }
  for (int64_t at = 0; at < columns; at += kQuantBlock, stored += block_bytes(type)) {
    const float scale = read_f16(stored);
    switch (type) {
      case StoredType::q8_0:
        for (int i = 0; i < kQuantBlock; ++i) {
          row[at + i] = scale * static_cast<float>(static_cast<int8_t>(stored[2 + i]));
        }
        break;
      case StoredType::q4_0:
        unpack_nibbles(stored + 2, scale, -8 * scale, row + at);
        break;
      default:
        unpack_nibbles(stored + 4, scale, read_f16(stored + 2), row + at);
        break;
    }
  }
}

}  // namespace minicpm
