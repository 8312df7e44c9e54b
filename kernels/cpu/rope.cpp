#include "kernels/rope.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/table.h"

namespace minicpm::ISA {

void rope(const Rope& op, Workers& workers) {
  const int half = op.head_dim / 2;
  for_ranges(workers, op.x.rows, 16, [&](int64_t first, int64_t last) {
    for (int64_t t = first; t < last; t++) {
      const float* cosines = static_cast<const float*>(op.cos.data) + t * half;
      const float* sines = static_cast<const float*>(op.sin.data) + t * half;
      float* row = static_cast<float*>(op.x.data) + t * op.x.columns;
      for (int64_t head = 0; head < op.x.columns; head += op.head_dim) {
        for (int i = 0; i < half; i += kLanes) {
          const int n = half - i < kLanes ? half - i : kLanes;
          const f32x16 c = load_first(cosines + i, n), s = load_first(sines + i, n);
          const f32x16 low = load_first(row + head + i, n);
          const f32x16 high = load_first(row + head + half + i, n);
          store_first(row + head + i, low * c - high * s, n);
          store_first(row + head + half + i, high * c + low * s, n);
        }
      }
    }
  });
}

}  // namespace minicpm::ISA
