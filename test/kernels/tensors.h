// Tensors that own their numbers, random fillings with fixed seeds, comparisons, and the kernel
// sets of this machine.
#pragma once

#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/cpu/table.h"
#include "kernels/reference/ops.h"
#include "kernels/tensor.h"
#include "test/kernels/test.h"

namespace minicpm::avxvnni_evex {
extern const CpuKernels kernels;
}

namespace minicpm::test {

/// xorshift64*, the same numbers everywhere.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15 + 1) {}

  uint64_t next() {
    state_ ^= state_ >> 12, state_ ^= state_ << 25, state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1d >> 11;
  }
  float between(float low, float high) {
    return low + (high - low) * static_cast<float>(static_cast<double>(next()) * 0x1p-53);
  }
  int below(int count) { return static_cast<int>(next() % static_cast<uint64_t>(count)); }

 private:
  uint64_t state_;
};

class Array {
 public:
  Array(int64_t rows, int64_t columns, DType dtype = DType::f32)
      : bytes_(static_cast<size_t>(rows * columns) * size_of(dtype)),
        rows_(rows),
        columns_(columns),
        dtype_(dtype) {}

  Tensor tensor() { return {bytes_.data(), dtype_, rows_, columns_}; }
  size_t size() const { return static_cast<size_t>(rows_ * columns_); }
  float* floats() { return reinterpret_cast<float*>(bytes_.data()); }
  int32_t* ints() { return reinterpret_cast<int32_t*>(bytes_.data()); }

  /// Rounded to the array's dtype.
  void set(size_t index, float value) {
    if (dtype_ == DType::f32) {
      floats()[index] = value;
      return;
    }
    const uint16_t half = dtype_ == DType::f16 ? f32_to_f16(value) : f32_to_bf16(value);
    std::memcpy(bytes_.data() + 2 * index, &half, 2);
  }

  Array& fill(Random& random, float low, float high) {
    for (size_t i = 0; i < size(); i++) set(i, random.between(low, high));
    return *this;
  }

  Array& fill_ints(Random& random, int below) {
    for (size_t i = 0; i < size(); i++) ints()[i] = random.below(below);
    return *this;
  }

 private:
  std::vector<std::byte> bytes_;
  int64_t rows_, columns_;
  DType dtype_;
};

inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.bytes() == b.bytes() && std::memcmp(a.data, b.data, a.bytes()) == 0;
}

/// The largest |actual - expected| / max(|expected|, floor); infinite where only one of them is a
/// number.
inline double worst_error(const Tensor& actual, const Tensor& expected, double floor) {
  double worst = actual.bytes() == expected.bytes() ? 0 : INFINITY;
  for (size_t i = 0; i < actual.bytes() / 4 && std::isfinite(worst); i++) {
    const double a = actual.as<float>()[i], e = expected.as<float>()[i];
    if (a == e || (std::isnan(a) && std::isnan(e))) continue;
    const double error = std::abs(a - e) / std::max(std::abs(e), floor);
    worst = error <= worst ? worst : std::isnan(error) ? INFINITY : error;
  }
  return worst;
}

/// The kernel sets that this machine can run, that of AVX-VNNI in either encoding, but for
/// sanitizers.
inline std::vector<const CpuKernels*> kernel_sets() {
  std::vector<const CpuKernels*> sets;
  for (const CpuKernels* set : cpu_kernel_sets()) {
    if (set->supported()) sets.push_back(set);
  }
  if constexpr (!kSanitized) {
    if (avxvnni_evex::kernels.supported()) sets.push_back(&avxvnni_evex::kernels);
  }
  return sets;
}

}  // namespace minicpm::test
