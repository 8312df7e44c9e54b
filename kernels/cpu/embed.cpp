#include "kernels/embed.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/table.h"
#include "kernels/packed.h"

namespace minicpm::ISA {

namespace {

template <typename T>
void embed_rows(const Embed& op, int64_t first, int64_t last) {
  const int64_t hidden = op.y.columns;
  const int32_t* tokens = static_cast<const int32_t*>(op.tokens.data);
  const f32x16 scale = broadcast(op.scale);
  for (int64_t t = first; t < last; t++) {
    const T* row = static_cast<const T*>(op.table.data) + tokens[t] * hidden;
    float* y = static_cast<float*>(op.y.data) + t * hidden;
    for (int64_t i = 0; i < hidden; i += kLanes) {
      const int n = static_cast<int>(hidden - i < kLanes ? hidden - i : kLanes);
      store_first(y + i, load_first(row + i, n) * scale, n);
    }
  }
}

/// A row lies in its tile 4 numbers at a time, a line apart.
void embed_w8_rows(const Embed& op, int64_t first, int64_t last) {
  const int64_t hidden = op.y.columns, group = op.table.group;
  const int32_t* tokens = static_cast<const int32_t*>(op.tokens.data);
  const int64_t tile_bytes = packed_tile_bytes(DType::w8, hidden, op.table.group);
  for (int64_t t = first; t < last; t++) {
    const int64_t lane = tokens[t] % kPackedRows;
    const auto* tile =
        static_cast<const unsigned char*>(op.table.data) + tokens[t] / kPackedRows * tile_bytes;
    const unsigned char* numbers =
        tile + packed_scale_bytes(hidden, op.table.group) + lane * kPackedStep;
    float* y = static_cast<float*>(op.y.data) + t * hidden;
    for (int64_t i = 0; i < hidden; i++) {
      uint16_t half;
      __builtin_memcpy(&half, tile + 2 * (i / group * kPackedRows + lane), sizeof half);
      const int u = numbers[i / kPackedStep * kPackedLine + i % kPackedStep];
      y[i] = static_cast<float>(u - packed_zero(DType::w8)) * f16_to_f32(half) * op.scale;
    }
  }
}

/// Number by number, by the definition: few rows, and each of them short.
void embed_packed_rows(const Embed& op, int64_t first, int64_t last) {
  const int64_t hidden = op.y.columns;
  const int32_t* tokens = static_cast<const int32_t*>(op.tokens.data);
  for (int64_t t = first; t < last; t++) {
    const PackedRow row(op.table, tokens[t]);
    float* y = static_cast<float*>(op.y.data) + t * hidden;
    for (int64_t i = 0; i < hidden; i++) y[i] = row.weight(i) * op.scale;
  }
}

}  // namespace

void embed(const Embed& op, Workers& workers) {
  for_ranges(workers, op.y.rows, 16, [&](int64_t first, int64_t last) {
    switch (op.table.dtype) {
      case DType::w8:
        if (op.table.scales == Scales::symmetric) return embed_w8_rows(op, first, last);
        return embed_packed_rows(op, first, last);
      case DType::w6:
      case DType::w5:
      case DType::w4:
      case DType::w2:
        return embed_packed_rows(op, first, last);
      case DType::f16:
        return embed_rows<F16>(op, first, last);
      case DType::bf16:
        return embed_rows<Bf16>(op, first, last);
      default:
        return embed_rows<float>(op, first, last);
    }
  });
}

}  // namespace minicpm::ISA
