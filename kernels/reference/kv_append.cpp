#include "kernels/reference/ops.h"

namespace minicpm::reference {

namespace {

void store(std::byte* head, DType dtype, size_t index, float value) {
  if (dtype == DType::f32) {
    reinterpret_cast<float*>(head)[index] = value;
  } else {
    reinterpret_cast<uint16_t*>(head)[index] = f32_to_f16(value);
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
        for (int d = 0; d < layout.head_dim; d++) {
          store(block + layout.k_offset(op.layer, head), layout.dtype, layout.k_index(slot, d),
                op.k.as<float>()[from + d]);
          store(block + layout.v_offset(op.layer, head), layout.dtype, layout.v_index(slot, d),
                op.v.as<float>()[from + d]);
        }
      }
    }
  }
}

}  // namespace minicpm::reference
