#include "kernels/rms_norm.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/table.h"

namespace minicpm::ISA {

namespace {

/// Four running sums of 16 lanes each, taken in turn; lanes beyond the end add zero.
float square_sum(const float* x, int64_t hidden) {
  f32x16 sums[4] = {broadcast(0), broadcast(0), broadcast(0), broadcast(0)};
  int64_t i = 0;
  for (; i + 4 * kLanes <= hidden; i += 4 * kLanes) {
    for (int j = 0; j < 4; j++) {
      const f32x16 v = load(x + i + j * kLanes);
      sums[j] = fma(v, v, sums[j]);
    }
  }
  for (int j = 0; i < hidden; i += kLanes, j++) {
    const f32x16 v = load_first(x + i, static_cast<int>(hidden - i < kLanes ? hidden - i : kLanes));
    sums[j] = fma(v, v, sums[j]);
  }
  return sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

}  // namespace

void rms_norm(const RmsNorm& op, Workers& workers) {
  const int64_t hidden = op.x.columns;
  const float* weight = static_cast<const float*>(op.weight.data);
  for_ranges(workers, op.x.rows, 16, [&](int64_t first, int64_t last) {
    for (int64_t t = first; t < last; t++) {
      const float* x = static_cast<const float*>(op.x.data) + t * hidden;
      float* y = static_cast<float*>(op.y.data) + t * hidden;
      const float mean = square_sum(x, hidden) / static_cast<float>(hidden);
      const f32x16 scale = broadcast(1 / __builtin_sqrtf(mean + op.eps));
      for (int64_t i = 0; i < hidden; i += kLanes) {
        const int n = static_cast<int>(hidden - i < kLanes ? hidden - i : kLanes);
        store_first(y + i, load_first(x + i, n) * scale * load_first(weight + i, n), n);
      }
    }
  });
}

}  // namespace minicpm::ISA
