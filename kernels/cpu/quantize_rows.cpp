#include "kernels/quantize_rows.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/quantize.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/table.h"

namespace minicpm::ISA {

namespace {

constexpr int64_t kLeast = 16384;  // numbers that are worth a thread

/// One group of one row.
void quantize_group(const float* x, const QuantizedBlock& y, int64_t row, int64_t group) {
  int8_t integers[kQuantizedGroup];
  y.scales[group * y.rows + row] = quantize(x, kQuantizedGroup, integers);
  int8_t* to = y.integers + (group * kQuantizedGroup * y.rows + row * 4);
  int32_t half = 0, rest = 0;
  for (int64_t i = 0; i < kQuantizedGroup / 2; i++) half += integers[i];
  for (int64_t i = kQuantizedGroup / 2; i < kQuantizedGroup; i++) rest += integers[i];
  for (int64_t i = 0; i < kQuantizedGroup; i += 4, to += 4 * y.rows) {
    __builtin_memcpy(to, integers + i, 4);
  }
  y.sums[group * y.rows + row] = half + rest;
  y.halves[group * y.rows + row] = half;
}

}  // namespace

void quantize_rows(const QuantizeRows& op, Workers& workers) {
  if (op.x.rows == 0) return;
  const int64_t columns = op.x.columns, groups = columns / kQuantizedGroup;
  const int64_t blocks = (op.x.rows + kQuantizedRows - 1) / kQuantizedRows;
  const float* x = static_cast<const float*>(op.x.data);
  const float* up = static_cast<const float*>(op.up.data);
  const int64_t in_block = op.x.rows < kQuantizedRows ? op.x.rows : kQuantizedRows;
  for_ranges(workers, blocks * groups, kLeast / (kQuantizedGroup * in_block),
             [&](int64_t first, int64_t last) {
               for (int64_t i = first; i < last; i++) {
                 const QuantizedBlock block = quantized_block(op.y, i / groups);
                 for (int64_t row = 0; row < block.rows; row++) {
                   const int64_t at =
                       (i / groups * kQuantizedRows + row) * columns + i % groups * kQuantizedGroup;
                   if (up) {
                     float gated[kQuantizedGroup];
                     for (int64_t j = 0; j < kQuantizedGroup; j += kLanes) {
                       store(gated + j, silu(load(x + at + j)) * load(up + at + j));
                     }
                     quantize_group(gated, block, row, i % groups);
                   } else {
                     quantize_group(x + at, block, row, i % groups);
                   }
                 }
               }
             });
}

}  // namespace minicpm::ISA
