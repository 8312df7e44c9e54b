// Rows of the embedding table on CUDA. One block per token.
// Memory bound: the floor is tokens * hidden * (4 bytes + a weight's) / bandwidth.
#include "kernels/embed.h"

#include "kernels/cuda/ops.h"
#include "kernels/cuda/packed_matrix.cuh"

namespace minicpm::cuda {

namespace {

constexpr int kEmbedThreads = 128;

// grid: [tokens], threads: [kEmbedThreads]
template <typename T>
__global__ void embed_kernel(float* y, const int32_t* tokens, const T* table, int64_t hidden,
                             float scale) {
  const T* row = table + tokens[blockIdx.x] * hidden;
  for (int64_t i = threadIdx.x; i < hidden; i += kEmbedThreads) {
    y[blockIdx.x * hidden + i] = to_float(row[i]) * scale;
  }
}

/// Number u of a packed row (kernels/packed.h).
template <DType kFormat>
DEVICE int packed_u(const unsigned char* integers, int64_t lane, int64_t column) {
  const unsigned char* block = integers + column / kPackedColumns * packed_block_bytes(kFormat);
  constexpr int kBits = packed_bits(kFormat), kLow = has_planes(kFormat) ? 4 : kBits;
  const PackedPlace low = packed_place(kLow, lane, column);
  int u = block[low.byte] >> low.shift & ((1 << kLow) - 1);
  if constexpr (has_planes(kFormat)) {
    const PackedPlace high = packed_place(kBits - 4, lane, column);
    const unsigned char* planes = block + packed_block_bytes(DType::w4);
    u |= (planes[high.byte] >> high.shift & ((1 << (kBits - 4)) - 1)) << 4;
  }
  return u;
}

// grid: [tokens], threads: [kEmbedThreads]
template <DType kFormat>
__global__ void embed_packed_kernel(float* y, const int32_t* tokens, PackedMatrix table,
                                    float scale) {
  const int64_t row = tokens[blockIdx.x], tile = row / kPackedRows, lane = row % kPackedRows;
  const unsigned char* integers = table.tiles + tile * table.tile_bytes + table.integers;
  for (int64_t i = threadIdx.x; i < table.columns; i += kEmbedThreads) {
    const int q = packed_u<kFormat>(integers, lane, i) - packed_zero(kFormat, table.scales);
    const float weight =
        fmaf(static_cast<float>(q), table.scale(tile, lane, i), -table.minimum_of(tile, lane, i));
    y[blockIdx.x * table.columns + i] = weight * scale;
  }
}

template <typename T>
void embed_rows(const Embed& op, Stream stream) {
  launch({{static_cast<unsigned>(op.y.rows)}, {kEmbedThreads}, 0, stream}, embed_kernel<T>,
         op.y.as<float>(), op.tokens.as<int32_t>(), op.table.as<T>(), op.y.columns, op.scale);
}

template <DType kFormat>
void embed_packed_rows(const Embed& op, Stream stream) {
  launch({{static_cast<unsigned>(op.y.rows)}, {kEmbedThreads}, 0, stream},
         embed_packed_kernel<kFormat>, op.y.as<float>(), op.tokens.as<int32_t>(),
         packed_matrix(op.table), op.scale);
}

}  // namespace

void embed(const Embed& op, Stream stream) {
  if (op.y.rows == 0) return;
  switch (op.table.dtype) {
    case DType::f32:
      return embed_rows<float>(op, stream);
    case DType::f16:
      return embed_rows<F16>(op, stream);
    case DType::bf16:
      return embed_rows<Bf16>(op, stream);
    case DType::w8:
      return embed_packed_rows<DType::w8>(op, stream);
    case DType::w6:
      return embed_packed_rows<DType::w6>(op, stream);
    case DType::w5:
      return embed_packed_rows<DType::w5>(op, stream);
    case DType::w4:
      return embed_packed_rows<DType::w4>(op, stream);
    default:
      return embed_packed_rows<DType::w2>(op, stream);
  }
}

}  // namespace minicpm::cuda
