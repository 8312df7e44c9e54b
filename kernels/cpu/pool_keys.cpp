#include "kernels/pool_keys.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/table.h"

namespace minicpm::ISA {

namespace {

constexpr int kFineTiles = kPooledKeys / kTileKeys;
constexpr int kCoarseTiles = 2 * kBlockTokens / kTileKeys;

/// Dimension `dim` of the 16 keys from `position` on, stored as T.
template <typename T>
f32x16 load_keys(const PoolKeys& op, const Segment& segment, int kv_head, int position, int dim) {
  const KvLayout& layout = op.layout;
  const std::byte* block = segment.blocks[position / kBlockTokens];
  const int slot = position % kBlockTokens;
  const T* keys = reinterpret_cast<const T*>(block + layout.k_offset(op.layer, kv_head)) +
                  layout.k_index(slot, dim);
  if constexpr (sizeof(T) == 1) {
    float numbers[kTileKeys];
    for (int i = 0; i < kTileKeys; i++) numbers[i] = static_cast<float>(keys[4 * i] - 128);
    return load(numbers) *
           load(reinterpret_cast<const float*>(block + layout.scales_offset(op.layer, kv_head)) +
                slot);
  } else {
    return load(keys);
  }
}

/// Means of the keys of N tiles up to position `end`, dimensions [dim, dim + n), rounded to P.
template <typename T, typename P, int N>
void mean_keys(const PoolKeys& op, const Segment& segment, int kv_head, int end, int dim, int n,
               P* means) {
  float sums[kLanes] = {};
  for (int d = 0; d < n; d++) {
    f32x16 keys[N];
    for (int i = 0; i < N; i++) {
      keys[i] = load_keys<T>(op, segment, kv_head, end - (N - i) * kTileKeys, dim + d);
    }
    for (int half = N / 2; half > 0; half /= 2) {
      for (int i = 0; i < half; i++) keys[i] = keys[i] + keys[i + half];
    }
    sums[d] = sum(keys[0]);
  }
  store(means, load(sums) * broadcast(1.0f / (N * kTileKeys)));
}

/// The pooled keys that end before position `end`, stored as P.
template <typename T, typename P = T>
void pool_up_to(const PoolKeys& op, const Segment& segment, int kv_head, int end) {
  const KvLayout& layout = op.layout;
  const int last = end - 1, window = last % kBlockTokens / kPoolStride;
  P* fine = reinterpret_cast<P*>(segment.blocks[last / kBlockTokens] +
                                 layout.pooled_offset(op.layer, kv_head));
  P* coarse = fine + fine_index(0, layout.head_dim);
  for (int dim = 0; dim < layout.head_dim; dim += kLanes) {
    const int n = layout.head_dim - dim < kLanes ? layout.head_dim - dim : kLanes;
    P means[kLanes];
    mean_keys<T, P, kFineTiles>(op, segment, kv_head, end, dim, n, means);
    for (int d = 0; d < n; d++) fine[fine_index(window, dim + d)] = means[d];
    if (end % kBlockTokens != 0 || end < 2 * kBlockTokens) continue;
    mean_keys<T, P, kCoarseTiles>(op, segment, kv_head, end, dim, n, means);
    for (int d = 0; d < n; d++) coarse[dim + d] = means[d];
  }
}

}  // namespace

void pool_keys(const PoolKeys& op, Workers& workers) {
  for (size_t s = 0; s < op.segments.size(); s++) {
    const Segment& segment = op.segments[s];
    // Fine pooled keys end every 16 positions, from the 32nd on.
    const int before = segment.position / kPoolStride;
    const int ends = (segment.position + segment.count) / kPoolStride - before;
    const int kv_heads = op.layout.kv_heads;
    for_ranges(workers, int64_t{ends} * kv_heads, 8, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; i++) {
        const int end = (before + 1 + static_cast<int>(i) / kv_heads) * kPoolStride;
        const int kv_head = static_cast<int>(i) % kv_heads;
        if (end < kPooledKeys) continue;
        if (op.layout.dtype == DType::f32) {
          pool_up_to<float>(op, segment, kv_head, end);
        } else if (op.layout.dtype == DType::i8) {
          pool_up_to<uint8_t, F16>(op, segment, kv_head, end);
        } else {
          pool_up_to<F16>(op, segment, kv_head, end);
        }
      }
    });
  }
}

}  // namespace minicpm::ISA
