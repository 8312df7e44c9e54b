#include "kernels/kv_append.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/quantize.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/table.h"

namespace minicpm::ISA {

namespace {

/// One head's key and value of one token, converted 16 dimensions at a time.
template <typename T>
void store_head(const KvLayout& layout, int slot, const float* k, const float* v, T* keys,
                T* values) {
  for (int d = 0; d < layout.head_dim; d += kLanes) {
    const int n = layout.head_dim - d < kLanes ? layout.head_dim - d : kLanes;
    T converted[kLanes];
    store(converted, load_first(k + d, n));
    T* key = keys + layout.k_index(slot, d);
    for (int i = 0; i < n; i++) key[i * kTileKeys] = converted[i];
    store_first(values + layout.v_index(slot, d), load_first(v + d, n), n);
  }
}

/// The same as int8, without any memory of its own: the key's integers stand where the value's
/// will.
void store_head_int8(const KvLayout& layout, int slot, const float* k, const float* v,
                     uint8_t* keys, int8_t* values, float* scales) {
  int8_t* integers = values + layout.v_index(slot, 0);
  scales[slot] = quantize(k, layout.head_dim, integers);
  for (int d = 0; d < layout.head_dim; d += 4) {
    uint32_t four;
    __builtin_memcpy(&four, integers + d, sizeof four);
    four ^= 0x80808080;  // q + 128
    __builtin_memcpy(keys + layout.k_index(slot, d), &four, sizeof four);
  }
  scales[kBlockTokens + slot] = quantize(v, layout.head_dim, integers);
}

template <typename T>
void append_row(const KvAppend& op, const Segment& segment, int row) {
  const KvLayout& layout = op.layout;
  const int position = segment.position + row;
  std::byte* block = segment.blocks[position / kBlockTokens];
  const int64_t from = int64_t{segment.row + row} * op.k.columns;
  for (int head = 0; head < layout.kv_heads; head++) {
    const int64_t at = from + head * layout.head_dim;
    const float* k = static_cast<const float*>(op.k.data) + at;
    const float* v = static_cast<const float*>(op.v.data) + at;
    T* keys = reinterpret_cast<T*>(block + layout.k_offset(op.layer, head));
    T* values = reinterpret_cast<T*>(block + layout.v_offset(op.layer, head));
    const int slot = position % kBlockTokens;
    if constexpr (sizeof(T) == 1) {
      auto* scales = reinterpret_cast<float*>(block + layout.scales_offset(op.layer, head));
      store_head_int8(layout, slot, k, v, reinterpret_cast<uint8_t*>(keys), values, scales);
    } else {
      store_head(layout, slot, k, v, keys, values);
    }
  }
}

}  // namespace

void kv_append(const KvAppend& op, Workers& workers) {
  for (size_t s = 0; s < op.segments.size(); s++) {
    const Segment& segment = op.segments[s];
    for_ranges(workers, segment.count, 32, [&](int64_t first, int64_t last) {
      for (int64_t row = first; row < last; row++) {
        if (op.layout.dtype == DType::f32) {
          append_row<float>(op, segment, static_cast<int>(row));
        } else if (op.layout.dtype == DType::i8) {
          append_row<int8_t>(op, segment, static_cast<int>(row));
        } else {
          append_row<F16>(op, segment, static_cast<int>(row));
        }
      }
    });
  }
}

}  // namespace minicpm::ISA
