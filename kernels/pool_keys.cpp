#include "kernels/pool_keys.h"

#include <limits>

namespace minicpm {

void PoolKeys::check() const {
  expect("pool_keys", layout, layer);
  expect("pool_keys", layout.pooled, "the KV layout has no room for pooled keys");
  expect("pool_keys", segments, std::numeric_limits<int>::max());
}

}  // namespace minicpm
