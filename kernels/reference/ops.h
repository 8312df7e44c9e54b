// The definition of every op in plain loops: float in, double sums, one thread, no order to speak
// of. Every other implementation is tested against these. The structs are checked by the caller
// (the backend).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/attention.h"
#include "kernels/embed.h"
#include "kernels/feedback.h"
#include "kernels/gram.h"
#include "kernels/half.h"
#include "kernels/kv_append.h"
#include "kernels/linear.h"
#include "kernels/log_prob.h"
#include "kernels/pack.h"
#include "kernels/pack_feedback.h"
#include "kernels/pool_keys.h"
#include "kernels/quant_arrays.h"
#include "kernels/quantize_rows.h"
#include "kernels/refine.h"
#include "kernels/reorder.h"
#include "kernels/repack.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/sample.h"
#include "kernels/score_blocks.h"
#include "kernels/select_blocks.h"
#include "kernels/silu_mul.h"
#include "kernels/ternary.h"

namespace minicpm::reference {

void embed(const Embed& op);
void rms_norm(const RmsNorm& op);
void linear(const Linear& op);
void linears(const Linears& op);
void quantize_rows(const QuantizeRows& op);
void pack(const Pack& op);
void repack(const Repack& op);
void repack_arrays(const RepackArrays& op);
void pack_ternary(const PackTernary& op);
void reorder(const ReorderColumns& op);
void gram(const Gram& op);
void feedback(const Feedback& op);
void pack_feedback(const PackFeedback& op);
void refine(const Refine& op);
void rope(const Rope& op);
void kv_append(const KvAppend& op);
void pool_keys(const PoolKeys& op);
void score_blocks(const ScoreBlocks& op);
void select_blocks(const SelectBlocks& op);
void attention(const Attention& op);
void silu_mul(const SiluMul& op);
void log_prob(const LogProb& op);
void sample(const Sample& op);

/// Element `index` of an array of `dtype` (f32, f16 or bf16).
inline float element(const void* data, DType dtype, size_t index) {
  if (dtype == DType::f32) return static_cast<const float*>(data)[index];
  const uint16_t half = static_cast<const uint16_t*>(data)[index];
  return dtype == DType::f16 ? f16_to_f32(half) : bf16_to_f32(half);
}

/// Rounds to nearest, ties to even.
inline void set_element(void* data, DType dtype, size_t index, double value) {
  const auto rounded = static_cast<float>(value);
  if (dtype == DType::f32) {
    static_cast<float*>(data)[index] = rounded;
  } else {
    static_cast<uint16_t*>(data)[index] =
        dtype == DType::f16 ? f32_to_f16(rounded) : f32_to_bf16(rounded);
  }
}

/// Dimension `dim` of the pooled key that ends in window `window` (0..3) of a block, or of the
/// coarse one (kCoarseWindow).
inline float pooled_element(const KvLayout& layout, const Segment& segment, int64_t block,
                            int layer, int kv_head, int window, int dim) {
  const std::byte* pooled =
      segment.pooled_keys(layout, block) + layout.pooled_at(layer, kv_head, window);
  const size_t at = layout.pooled_index(window, dim);
  if (layout.dtype != DType::i8) return element(pooled, layout.dtype, at);
  const auto* scale = reinterpret_cast<const float*>(pooled + layout.pooled_scale_at(window));
  return static_cast<float>(static_cast<int>(pooled[at]) - 128) * *scale;
}

/// Dimension `dim` of the key (or value) in `slot` of a block.
inline float key_element(const KvLayout& layout, const std::byte* block, int layer, int kv_head,
                         int slot, int dim) {
  const std::byte* keys = block + layout.k_offset(layer, kv_head);
  if (layout.dtype != DType::i8) return element(keys, layout.dtype, layout.k_index(slot, dim));
  const auto* scales = reinterpret_cast<const float*>(block + layout.scales_offset(layer, kv_head));
  const int q = static_cast<int>(keys[layout.k_index(slot, dim)]) - 128;
  return static_cast<float>(q) * scales[slot];
}

inline float value_element(const KvLayout& layout, const std::byte* block, int layer, int kv_head,
                           int slot, int dim) {
  const std::byte* values = block + layout.v_offset(layer, kv_head);
  if (layout.dtype != DType::i8) return element(values, layout.dtype, layout.v_index(slot, dim));
  const auto* scales = reinterpret_cast<const float*>(block + layout.scales_offset(layer, kv_head));
  const int q = static_cast<int8_t>(values[layout.v_index(slot, dim)]);
  return static_cast<float>(q) * scales[kBlockTokens + slot];
}

/// The integers of `count` numbers that share a scale, which is returned: as QuantizeRows has it.
inline float quantize(const float* x, int count, int8_t* integers) {
  float largest = 0;
  bool numbers = true;
  for (int i = 0; i < count; i++) {
    largest = std::fmax(largest, std::fabs(x[i]));
    numbers &= std::isfinite(x[i]);
  }
  const bool nothing = !numbers || largest < 0x1p-100f;
  for (int i = 0; i < count; i++) {
    const float scaled = nothing ? 0 : x[i] * (127 / largest);
    integers[i] = static_cast<int8_t>(std::nearbyint(scaled));
  }
  return !numbers ? NAN : nothing ? 0 : largest / 127;
}

/// q * scale; rounded to int8 in groups of 32 before keys that are.
inline std::vector<double> scaled_query(const KvLayout& layout, const float* q, float scale) {
  std::vector<double> numbers;
  if (layout.dtype != DType::i8) {
    for (int d = 0; d < layout.head_dim; d++) numbers.push_back(double{q[d]} * scale);
    return numbers;
  }
  for (int first = 0; first < layout.head_dim; first += kQuantizedGroup) {
    float scaled[kQuantizedGroup];
    int8_t integers[kQuantizedGroup];
    for (int i = 0; i < kQuantizedGroup; i++) scaled[i] = q[first + i] * scale;
    const double its_scale = quantize(scaled, kQuantizedGroup, integers);
    for (const int8_t integer : integers) numbers.push_back(integer * its_scale);
  }
  return numbers;
}

}  // namespace minicpm::reference
