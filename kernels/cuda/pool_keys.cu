// Pooled keys on CUDA. One block per row and KV head; most rows end no pooled key.
// Memory bound, one row in 16: the floor is tokens / 16 * kv_heads * head_dim * (32 + 1 / 4 * 128)
// stored numbers / bandwidth.
#include "kernels/pool_keys.h"

#include "kernels/cuda/kv_numbers.cuh"
#include "kernels/cuda/ops.h"

namespace minicpm::cuda {

namespace {

constexpr int kPoolThreads = 128;

struct PoolRows {
  const BatchRow* rows;
  KvLayout layout;
  int layer;
};

/// Dimension `d` of the mean of the `count` keys before position `end`. In double the sum is exact,
/// whatever its order.
template <typename T>
DEVICE float mean_key(const PoolRows& op, std::byte* const* blocks, int head, int64_t end,
                      int count, int d) {
  double sum = 0;
  for (int64_t position = end - count; position < end; position++) {
    const int slot = static_cast<int>(position % kBlockTokens);
    const auto keys = KvHead<T>::keys(op.layout, blocks[position / kBlockTokens], op.layer, head);
    sum += keys.at(op.layout.k_index(slot, d), slot);
  }
  return static_cast<float>(sum / count);
}

/// The pooled key of `count` keys that ends before `end`, to its place in the last one's block.
template <typename T>
DEVICE void pool(const PoolRows& op, std::byte* const* blocks, int head, int64_t end, int count,
                 int window) {
  const KvLayout& layout = op.layout;
  std::byte* pooled = pooled_keys(layout, blocks[(end - 1) / kBlockTokens], op.layer, head, window);
  const auto index = [&](int d) { return layout.pooled_index(window, d); };
  if constexpr (sizeof(T) > 1) {
    for (int d = static_cast<int>(threadIdx.x); d < layout.head_dim; d += kPoolThreads) {
      reinterpret_cast<T*>(pooled)[index(d)] =
          from_float<T>(mean_key<T>(op, blocks, head, end, count, d));
    }
  } else {
    float largest = 0;
    for (int d = static_cast<int>(threadIdx.x); d < layout.head_dim; d += kPoolThreads) {
      largest = Larger()(largest, magnitude(mean_key<T>(op, blocks, head, end, count, d)));
    }
    const Rounding rounding = rounding_of(block_reduce<kPoolThreads>(largest, Larger()));
    for (int d = static_cast<int>(threadIdx.x); d < layout.head_dim; d += kPoolThreads) {
      const float mean = mean_key<T>(op, blocks, head, end, count, d);
      reinterpret_cast<uint8_t*>(pooled)[index(d)] =
          static_cast<uint8_t>(rounding.integer(mean) + 128);
    }
    if (threadIdx.x == 0) {
      *reinterpret_cast<float*>(pooled + layout.pooled_scale_at(window)) = rounding.scale;
    }
  }
}

// grid: [rows, kv_heads], threads: [kPoolThreads]
template <typename T>
__global__ void pool_keys_kernel(PoolRows op) {
  const BatchRow row = op.rows[blockIdx.x];
  const int64_t end = row.position + 1;
  if (end <= 0 || end % kPoolStride != 0) return;  // the whole block
  const int head = static_cast<int>(blockIdx.y);
  const int window = static_cast<int>(row.position % kBlockTokens / kPoolStride);
  if (end >= kPooledKeys) pool<T>(op, row.blocks, head, end, kPooledKeys, window);
  if (end % kBlockTokens == 0 && end >= 2 * kBlockTokens) {
    pool<T>(op, row.blocks, head, end, 2 * kBlockTokens, kCoarseWindow);
  }
}

}  // namespace

void pool_keys(const PoolKeys& op, const Batch& batch, Stream stream) {
  if (batch.count == 0) return;
  const Launch shape{
      {static_cast<unsigned>(batch.count), static_cast<unsigned>(op.layout.kv_heads)},
      {kPoolThreads},
      0,
      stream};
  with_kv_type(op.layout, [&](auto number) {
    launch(shape, pool_keys_kernel<decltype(number)>, PoolRows{batch.rows, op.layout, op.layer});
  });
}

}  // namespace minicpm::cuda
