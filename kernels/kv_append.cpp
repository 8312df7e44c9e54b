#include "kernels/kv_append.h"

namespace minicpm {

void KvAppend::check() const {
  expect("kv_append", layout, layer);
  expect("kv_append", "k", k, k.rows, int64_t{layout.kv_heads} * layout.head_dim, DType::f32);
  expect("kv_append", "v", v, k.rows, int64_t{layout.kv_heads} * layout.head_dim, DType::f32);
  expect("kv_append", segments, k.rows);
}

}  // namespace minicpm
