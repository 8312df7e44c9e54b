#include <vector>

#include "kernels/reference/ops.h"

namespace minicpm::reference {

namespace {

/// One head's key and value of one token, as int8.
void append_int8(const KvLayout& layout, std::byte* block, int layer, int head, int slot,
                 const float* k, const float* v) {
  auto* scales = reinterpret_cast<float*>(block + layout.scales_offset(layer, head));
  std::vector<int8_t> integers(static_cast<size_t>(layout.head_dim));
  scales[slot] = quantize(k, layout.head_dim, integers.data());
  for (int d = 0; d < layout.head_dim; d++) {
    block[layout.k_offset(layer, head) + layout.k_index(slot, d)] =
        static_cast<std::byte>(integers[static_cast<size_t>(d)] + 128);
  }
  scales[kBlockTokens + slot] = quantize(v, layout.head_dim, integers.data());
  for (int d = 0; d < layout.head_dim; d++) {
    block[layout.v_offset(layer, head) + layout.v_index(slot, d)] =
        static_cast<std::byte>(integers[static_cast<size_t>(d)]);
  }
}

}  // namespace

void kv_append(const KvAppend& op) {
  const KvLayout& layout = op.layout;
  for (const Segment& segment : op.segments) {
    for (int i = 0; i < segment.count; i++) {
      const int position = segment.position + i, slot = position % kBlockTokens;
      std::byte* block = segment.blocks[position / kBlockTokens];
      for (int head = 0; head < layout.kv_heads; head++) {
        const int64_t from = (segment.row + i) * op.k.columns + head * layout.head_dim;
        const float *k = op.k.as<float>() + from, *v = op.v.as<float>() + from;
        if (layout.dtype == DType::i8) {
          append_int8(layout, block, op.layer, head, slot, k, v);
          continue;
        }
        for (int d = 0; d < layout.head_dim; d++) {
          set_element(block + layout.k_offset(op.layer, head), layout.dtype,
                      layout.k_index(slot, d), k[d]);
          set_element(block + layout.v_offset(op.layer, head), layout.dtype,
                      layout.v_index(slot, d), v[d]);
        }
      }
    }
  }
}

}  // namespace minicpm::reference
