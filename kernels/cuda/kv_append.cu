// Keys and values into their KV blocks, on CUDA. One block per row and KV head.
// Memory bound: the floor is 2 * tokens * kv_heads * head_dim * (4 bytes + a stored number's) /
// bandwidth. Keys lie apart in a block, 16 of them side by side: a prefill fills the sectors it
// touches, a decode step writes one number to each.
#include "kernels/kv_append.h"

#include "kernels/cuda/ops.h"
#include "kernels/cuda/rounding.cuh"

namespace minicpm::cuda {

namespace {

constexpr int kAppendThreads = 128;

struct AppendKv {
  const float *k, *v;
  const BatchRow* rows;
  KvLayout layout;
  int layer;
};

// grid: [rows, kv_heads], threads: [kAppendThreads]
template <typename T>
__global__ void kv_append_kernel(AppendKv op) {
  const BatchRow row = op.rows[blockIdx.x];
  if (row.position < 0) return;
  const KvLayout& layout = op.layout;
  const int head = static_cast<int>(blockIdx.y),
            slot = static_cast<int>(row.position % kBlockTokens);
  std::byte* block = row.blocks[row.position / kBlockTokens];
  auto* k = reinterpret_cast<T*>(block + layout.k_offset(op.layer, head));
  auto* v = reinterpret_cast<T*>(block + layout.v_offset(op.layer, head));
  const int64_t from = (int64_t{blockIdx.x} * layout.kv_heads + head) * layout.head_dim;
  for (int d = static_cast<int>(threadIdx.x); d < layout.head_dim; d += kAppendThreads) {
    k[layout.k_index(slot, d)] = from_float<T>(op.k[from + d]);
    v[layout.v_index(slot, d)] = from_float<T>(op.v[from + d]);
  }
}

// The same, rounded to int8.
__global__ void kv_append_int8_kernel(AppendKv op) {
  const BatchRow row = op.rows[blockIdx.x];
  if (row.position < 0) return;
  const KvLayout& layout = op.layout;
  const int head = static_cast<int>(blockIdx.y),
            slot = static_cast<int>(row.position % kBlockTokens);
  std::byte* block = row.blocks[row.position / kBlockTokens];
  auto* k = reinterpret_cast<uint8_t*>(block + layout.k_offset(op.layer, head));
  auto* v = reinterpret_cast<int8_t*>(block + layout.v_offset(op.layer, head));
  auto* scales = reinterpret_cast<float*>(block + layout.scales_offset(op.layer, head));
  const int64_t from = (int64_t{blockIdx.x} * layout.kv_heads + head) * layout.head_dim;
  const Rounding of_key = block_rounding<kAppendThreads>(op.k + from, layout.head_dim);
  const Rounding of_value = block_rounding<kAppendThreads>(op.v + from, layout.head_dim);
  for (int d = static_cast<int>(threadIdx.x); d < layout.head_dim; d += kAppendThreads) {
    k[layout.k_index(slot, d)] = static_cast<uint8_t>(of_key.integer(op.k[from + d]) + 128);
    v[layout.v_index(slot, d)] = static_cast<int8_t>(of_value.integer(op.v[from + d]));
  }
  if (threadIdx.x == 0) {
    scales[slot] = of_key.scale;
    scales[kBlockTokens + slot] = of_value.scale;
  }
}

}  // namespace

void kv_append(const KvAppend& op, const Batch& batch, Stream stream) {
  if (batch.count == 0) return;
  const Launch shape{
      {static_cast<unsigned>(batch.count), static_cast<unsigned>(op.layout.kv_heads)},
      {kAppendThreads},
      0,
      stream};
  const AppendKv given{op.k.as<float>(), op.v.as<float>(), batch.rows, op.layout, op.layer};
  if (op.layout.dtype == DType::f32) return launch(shape, kv_append_kernel<float>, given);
  if (op.layout.dtype == DType::f16) return launch(shape, kv_append_kernel<F16>, given);
  launch(shape, kv_append_int8_kernel, given);
}

}  // namespace minicpm::cuda
