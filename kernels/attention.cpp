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
}

}  // namespace minicpm
