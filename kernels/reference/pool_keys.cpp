#include "kernels/reference/ops.h"

namespace minicpm::reference {

namespace {

/// The mean of the `count` keys from `first` on, dimension `dim`.
double mean_key(const PoolKeys& op, const Segment& segment, int kv_head, int first, int count,
                int dim) {
  double sum = 0;
  for (int position = first; position < first + count; position++) {
    sum += key_element(op.layout, segment.blocks[position / kBlockTokens], op.layer, kv_head,
                       position % kBlockTokens, dim);
  }
  return sum / count;
}

}  // namespace

void pool_keys(const PoolKeys& op) {
  const KvLayout& layout = op.layout;
  for (const Segment& segment : op.segments) {
    for (int end = segment.position + 1; end <= segment.position + segment.count; end++) {
      const int slot = (end - 1) % kBlockTokens;
      for (int head = 0; head < layout.kv_heads; head++) {
        std::byte* pooled =
            segment.blocks[(end - 1) / kBlockTokens] + layout.pooled_offset(op.layer, head);
        for (int d = 0; d < layout.head_dim; d++) {
          if (end % kPoolStride == 0 && end >= kPooledKeys) {
            set_element(pooled, layout.pooled_dtype(), fine_index(slot / kPoolStride, d),
                        mean_key(op, segment, head, end - kPooledKeys, kPooledKeys, d));
          }
          if (end % kBlockTokens == 0 && end >= 2 * kBlockTokens) {
            set_element(pooled, layout.pooled_dtype(),
                        fine_index(0, layout.head_dim) + static_cast<size_t>(d),
                        mean_key(op, segment, head, end - 2 * kBlockTokens, 2 * kBlockTokens, d));
          }
        }
      }
    }
  }
}

}  // namespace minicpm::reference
