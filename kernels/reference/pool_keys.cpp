#include <vector>

#include "kernels/reference/ops.h"

namespace minicpm::reference {

namespace {

/// The mean of the `count` keys up to position `end`, dimension `dim`.
double mean_key(const PoolKeys& op, const Segment& segment, int kv_head, int end, int count,
                int dim) {
  double sum = 0;
  for (int position = end - count; position < end; position++) {
    sum += key_element(op.layout, segment.blocks[position / kBlockTokens], op.layer, kv_head,
                       position % kBlockTokens, dim);
  }
  return sum / count;
}

/// The pooled key of `count` keys that ends before position `end`, as `window` of its block.
void pool(const PoolKeys& op, const Segment& segment, int kv_head, int end, int count, int window) {
  const KvLayout& layout = op.layout;
  std::byte* pooled = segment.pooled_keys(layout, (end - 1) / kBlockTokens) +
                      layout.pooled_at(op.layer, kv_head, window);
  const auto at = [&](int d) { return layout.pooled_index(window, d); };
  std::vector<float> means;
  for (int d = 0; d < layout.head_dim; d++) {
    means.push_back(static_cast<float>(mean_key(op, segment, kv_head, end, count, d)));
  }
  if (layout.dtype != DType::i8) {
    for (int d = 0; d < layout.head_dim; d++) {
      set_element(pooled, layout.dtype, at(d), means[static_cast<size_t>(d)]);
    }
    return;
  }
  std::vector<int8_t> integers(means.size());
  *reinterpret_cast<float*>(pooled + layout.pooled_scale_at(window)) =
      quantize(means.data(), layout.head_dim, integers.data());
  for (int d = 0; d < layout.head_dim; d++) {
    pooled[at(d)] = static_cast<std::byte>(integers[static_cast<size_t>(d)] + 128);
  }
}

}  // namespace

void pool_keys(const PoolKeys& op) {
  for (const Segment& segment : op.segments) {
    for (int end = segment.position + 1; end <= segment.position + segment.count; end++) {
      const int slot = (end - 1) % kBlockTokens;
      for (int head = 0; head < op.layout.kv_heads; head++) {
        if (end % kPoolStride == 0 && end >= kPooledKeys) {
          pool(op, segment, head, end, kPooledKeys, slot / kPoolStride);
        }
        if (end % kBlockTokens == 0 && end >= 2 * kBlockTokens) {
          pool(op, segment, head, end, 2 * kBlockTokens, kCoarseWindow);
        }
      }
    }
  }
}

}  // namespace minicpm::reference
