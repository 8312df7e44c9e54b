#include "kernels/silu_mul.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/table.h"

namespace minicpm::ISA {

void silu_mul(const SiluMul& op, Workers& workers) {
  const float* gate = static_cast<const float*>(op.gate.data);
  const float* up = static_cast<const float*>(op.up.data);
  float* y = static_cast<float*>(op.y.data);
  for_ranges(workers, op.y.rows * op.y.columns, 16384, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; i += kLanes) {
      const int n = static_cast<int>(last - i < kLanes ? last - i : kLanes);
      store_first(y + i, silu(load_first(gate + i, n)) * load_first(up + i, n), n);
    }
  });
}

}  // namespace minicpm::ISA
