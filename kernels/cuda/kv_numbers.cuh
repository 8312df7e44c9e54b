// Reading KV blocks (kernels/kv_layout.h): stored numbers as floats, and queries as they meet them.
#pragma once

#include "kernels/cuda/rounding.cuh"
#include "kernels/kv_layout.h"

namespace minicpm::cuda {

constexpr int kQueryGroup = 32;  // dimensions of a query that share a scale before int8 keys

/// One head's keys, values or pooled keys of a block, and their scales where they are int8.
template <typename T>
struct Stored {
  const T* numbers;

  DEVICE float at(size_t index, int) const { return to_float(numbers[index]); }
  /// The same in another place.
  DEVICE Stored moved_to(const void* other, const float*) const {
    return {static_cast<const T*>(other)};
  }
};

/// Bytes q + kZero.
template <typename T, int kZero>
struct StoredInt8 {
  const T* numbers;
  const float* scales;

  DEVICE float at(size_t index, int slot) const {
    return static_cast<float>(static_cast<int>(numbers[index]) - kZero) * scales[slot];
  }
  DEVICE StoredInt8 moved_to(const void* other, const float* other_scales) const {
    return {static_cast<const T*>(other), other_scales};
  }
};

/// KvLayout::pooled_at in a block, behind whose heads the pooled keys are.
template <typename Byte>
DEVICE Byte* pooled_keys(const KvLayout& l, Byte* block, int layer, int head, int window) {
  return block + l.before_pooled() + l.pooled_at(layer, head, window);
}

/// The parts of a block of one layer and KV head, for a layout's dtype.
template <typename T>
struct KvHead {
  DEVICE static Stored<T> keys(const KvLayout& l, const std::byte* block, int layer, int head) {
    return {reinterpret_cast<const T*>(block + l.k_offset(layer, head))};
  }
  DEVICE static Stored<T> values(const KvLayout& l, const std::byte* block, int layer, int head) {
    return {reinterpret_cast<const T*>(block + l.v_offset(layer, head))};
  }
  DEVICE static Stored<T> pooled(const KvLayout& l, const std::byte* block, int layer, int head,
                                 int window) {
    return {reinterpret_cast<const T*>(pooled_keys(l, block, layer, head, window))};
  }
};

template <>
struct KvHead<int8_t> {
  using Biased = StoredInt8<uint8_t, 128>;

  DEVICE static const float* scales(const KvLayout& l, const std::byte* block, int layer,
                                    int head) {
    return reinterpret_cast<const float*>(block + l.scales_offset(layer, head));
  }
  DEVICE static Biased keys(const KvLayout& l, const std::byte* block, int layer, int head) {
    return {reinterpret_cast<const uint8_t*>(block + l.k_offset(layer, head)),
            scales(l, block, layer, head)};
  }
  DEVICE static StoredInt8<int8_t, 0> values(const KvLayout& l, const std::byte* block, int layer,
                                             int head) {
    return {reinterpret_cast<const int8_t*>(block + l.v_offset(layer, head)),
            scales(l, block, layer, head) + kBlockTokens};
  }
  /// With the one scale of `window`, at slot 0.
  DEVICE static Biased pooled(const KvLayout& l, const std::byte* block, int layer, int head,
                              int window) {
    const std::byte* keys = pooled_keys(l, block, layer, head, window);
    return {reinterpret_cast<const uint8_t*>(keys),
            reinterpret_cast<const float*>(keys + l.pooled_scale_at(window))};
  }
};

/// Queries of `dim` numbers each, scaled, to shared memory; before int8 keys as QuantizeRows rounds
/// them, a warp to a group. By all warps of a block; the caller synchronizes.
template <typename T, int kWarps>
DEVICE void load_queries(float* shared, const float* q, int count, int dim, float scale) {
  if constexpr (sizeof(T) > 1) {
    for (int i = static_cast<int>(threadIdx.x); i < count * dim; i += kWarps * kWarp) {
      shared[i] = q[i] * scale;
    }
  } else {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    for (int g = static_cast<int>(threadIdx.x) / kWarp; g < count * dim / kQueryGroup;
         g += kWarps) {
      const float x = q[g * kQueryGroup + lane] * scale;
      const Rounding rounding = rounding_of(warp_reduce(magnitude(x), Larger()));
      shared[g * kQueryGroup + lane] = static_cast<float>(rounding.integer(x)) * rounding.scale;
    }
  }
}

/// Calls `start` with a value of the type that the layout's numbers have.
template <typename Start>
void with_kv_type(const KvLayout& layout, Start start) {
  if (layout.dtype == DType::f32) return start(float());
  if (layout.dtype == DType::f16) return start(F16());
  start(int8_t());
}

}  // namespace minicpm::cuda
