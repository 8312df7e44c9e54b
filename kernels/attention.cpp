#include "kernels/attention.h"

namespace minicpm {

void Attention::check() const {
  expect("attention", layout, layer);
  expect("attention",
         q.columns > 0 && q.columns % (int64_t{layout.kv_heads} * layout.head_dim) == 0,
         "q should have a multiple of kv_heads * head_dim columns");
  expect("attention", "q", q, q.rows, q.columns, DType::f32);
  expect("attention", "y", y, q.rows, q.columns, DType::f32);
  expect("attention", segments, q.rows);
  for (const Segment& segment : segments) {
    expect("attention",
           selected.words == nullptr || segment.count == 0 ||
               (segment.position + segment.count - 1) / kBlockTokens < selected.stride * 64,
           "selected should have a bit for every block");
  }
}

}  // namespace minicpm
