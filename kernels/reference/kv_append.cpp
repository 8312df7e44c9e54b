#include "kernels/reference/ops.h"

namespace minicpm::reference {

void kv_append(const KvAppend& op) {
  const KvLayout& layout = op.layout;
  for (const Segment& segment : op.segments) {
    for (int i = 0; i < segment.count; i++) {
      const int position = segment.position + i, slot = position % kBlockTokens;
      std::byte* block = segment.blocks[position / kBlockTokens];
      for (int head = 0; head < layout.kv_heads; head++) {
        const int64_t from = (segment.row + i) * op.k.columns + head * layout.head_dim;
        for (int d = 0; d < layout.head_dim; d++) {
          set_element(block + layout.k_offset(op.layer, head), layout.dtype,
                      layout.k_index(slot, d), op.k.as<float>()[from + d]);
          set_element(block + layout.v_offset(op.layer, head), layout.dtype,
                      layout.v_index(slot, d), op.v.as<float>()[from + d]);
        }
      }
    }
  }
}

}  // namespace minicpm::reference
