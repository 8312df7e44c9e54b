#include "kernels/pool_keys.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/quantize.h"
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

/// Means of the keys of N tiles up to position `end`, dimensions [dim, dim + n).
template <typename T, int N>
f32x16 mean_keys(const PoolKeys& op, const Segment& segment, int kv_head, int end, int dim, int n) {
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
  return load(sums) * broadcast(1.0f / (N * kTileKeys));
}

/// The pooled key of N tiles that ends before position `end`, numbers that are rounded one by one:
/// dimension d to pooled[d * stride].
template <typename T, int N>
void pool(const PoolKeys& op, const Segment& segment, int kv_head, int end, T* pooled, int stride) {
  const int dims = op.layout.head_dim;
  for (int dim = 0; dim < dims; dim += kLanes) {
    const int n = dims - dim < kLanes ? dims - dim : kLanes;
    T means[kLanes];
    store(means, mean_keys<T, N>(op, segment, kv_head, end, dim, n));
    for (int d = 0; d < n; d++) pooled[(dim + d) * stride] = means[d];
  }
}

/// The same as int8 with a scale: 4 dimensions from d on to pooled[d * stride].
template <int N>
void pool_int8(const PoolKeys& op, const Segment& segment, int kv_head, int end, uint8_t* pooled,
               int stride, float* scale) {
  const int dims = op.layout.head_dim;
  float means[kMostInt8HeadDim];
  int8_t integers[kMostInt8HeadDim];
  for (int dim = 0; dim < dims; dim += kLanes) {
    store(means + dim, mean_keys<uint8_t, N>(op, segment, kv_head, end, dim, kLanes));
  }
  *scale = quantize(means, dims, integers);
  for (int d = 0; d < dims; d += 4) {
    uint32_t four;
    __builtin_memcpy(&four, integers + d, sizeof four);
    four ^= 0x80808080;  // q + 128
    __builtin_memcpy(pooled + d * stride, &four, sizeof four);
  }
}

/// The pooled keys that end before position `end`.
template <typename T>
void pool_up_to(const PoolKeys& op, const Segment& segment, int kv_head, int end) {
  const KvLayout& layout = op.layout;
  const int last = end - 1, window = last % kBlockTokens / kPoolStride;
  const bool ends_block = end % kBlockTokens == 0 && end >= 2 * kBlockTokens;
  std::byte* begin = segment.pooled_keys(layout, last / kBlockTokens);
  std::byte* at_fine = begin + layout.pooled_at(op.layer, kv_head, window);
  std::byte* at_coarse = begin + layout.pooled_at(op.layer, kv_head, kCoarseWindow);
  T* fine = reinterpret_cast<T*>(at_fine) + layout.pooled_index(window, 0);
  T* coarse = reinterpret_cast<T*>(at_coarse);
  if constexpr (sizeof(T) == 1) {
    const auto scale = [&](std::byte* at, int its_window) {
      return reinterpret_cast<float*>(at + layout.pooled_scale_at(its_window));
    };
    pool_int8<kFineTiles>(op, segment, kv_head, end, fine, kBlockWindows, scale(at_fine, window));
    if (!ends_block) return;
    pool_int8<kCoarseTiles>(op, segment, kv_head, end, coarse, 1, scale(at_coarse, kCoarseWindow));
  } else {
    pool<T, kFineTiles>(op, segment, kv_head, end, fine, kBlockWindows);
    if (ends_block) pool<T, kCoarseTiles>(op, segment, kv_head, end, coarse, 1);
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
          pool_up_to<uint8_t>(op, segment, kv_head, end);
        } else {
          pool_up_to<F16>(op, segment, kv_head, end);
        }
      }
    });
  }
}

}  // namespace minicpm::ISA
