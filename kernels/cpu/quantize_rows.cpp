#include "kernels/quantize_rows.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/table.h"

namespace minicpm::ISA {

namespace {

constexpr int64_t kLeast = 16384;  // numbers that are worth a thread

/// One group of one row. The loops over 32 numbers become a few vectors each.
void quantize_group(const float* x, const QuantizedBlock& y, int64_t row, int64_t group) {
  uint32_t bits[kQuantizedGroup];
  __builtin_memcpy(bits, x, sizeof bits);
  uint32_t magnitude = 0;  // of the largest; those of infinity and NaN are above all others
  for (uint32_t b : bits) magnitude = (b & 0x7fffffff) > magnitude ? b & 0x7fffffff : magnitude;
  const bool numbers = magnitude < 0x7f800000;
  const float largest = float_of(magnitude);
  const bool nothing = !numbers || largest < 0x1p-100f;

  constexpr float kShifter = 0x1.8p23f;  // adding it rounds to an integer, which is the low bits
  const float factor = nothing ? 0 : 127 / largest;
  float shifted[kQuantizedGroup];
  for (int64_t i = 0; i < kQuantizedGroup; i += kLanes) {
    const f32x16 scaled = (nothing ? broadcast(0) : load(x + i)) * broadcast(factor);
    store(shifted + i, scaled + broadcast(kShifter));
  }
  __builtin_memcpy(bits, shifted, sizeof bits);
  int8_t integers[kQuantizedGroup];
  int32_t sum = 0;
  for (int64_t i = 0; i < kQuantizedGroup; i++) {
    integers[i] = static_cast<int8_t>(bits[i]);
    sum += integers[i];
  }
  int8_t* to = y.integers + (group * kQuantizedGroup * y.rows + row * 4);
  for (int64_t i = 0; i < kQuantizedGroup; i += 4, to += 4 * y.rows) {
    __builtin_memcpy(to, integers + i, 4);
  }
  y.sums[group * y.rows + row] = sum;
  y.scales[group * y.rows + row] = !numbers ? __builtin_nanf("") : nothing ? 0 : largest / 127;
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
