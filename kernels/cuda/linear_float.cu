// Linear with float weights on CUDA: a warp per row of the weights, which it reads once for up to 8
// rows of x, 16 bytes a lane at a time.
// Memory bound: the floor is out * in * sizeof(T) / bandwidth.
#include "kernels/cuda/linear_rows.h"
#include "kernels/cuda/reduce.cuh"

namespace minicpm::cuda {

namespace {

constexpr int kFloatWarps = 4;

/// Adds the products of one vector of weights, columns from `k` on, to the sums.
template <typename T, int kRows>
DEVICE void add_vector(float (&sums)[kRows], const Vector& weights, const LinearRows& op,
                       int64_t k) {
  constexpr int kNumbers = 16 / sizeof(T);
  float w[kNumbers];
  for (int i = 0; i < kNumbers; i++) {
    if constexpr (sizeof(T) == 4) {
      w[i] = __builtin_bit_cast(float, weights.words[i]);
    } else {
      w[i] = to_float(T{static_cast<uint16_t>(weights.words[i / 2] >> (i % 2 * 16))});
    }
  }
  UNROLL
  for (int r = 0; r < kRows; r++) {
    if (r >= op.rows) break;
    for (int i = 0; i < kNumbers; i += 4) {
      const Vector x = load_vector(op.x + r * op.in + k + i);
      for (int j = 0; j < 4; j++) {
        sums[r] = fmaf(w[i + j], __builtin_bit_cast(float, x.words[j]), sums[r]);
      }
    }
  }
}

// grid: [out / kFloatWarps], threads: [kFloatWarps * 32]. Columns from `vectors_end` on, where rows
// are no whole vectors, go one by one.
template <typename T, int kRows>
__global__ void linear_float_kernel(LinearRows op, const T* weight, int64_t vectors_end) {
  constexpr int kNumbers = 16 / sizeof(T);
  const int64_t n = int64_t{blockIdx.x} * kFloatWarps + threadIdx.x / kWarp;
  const int64_t lane = threadIdx.x % kWarp;
  if (n >= op.out.columns) return;  // the whole warp
  const T* row = weight + n * op.in;
  float sums[kRows] = {};
  for (int64_t k = lane * kNumbers; k < vectors_end; k += kWarp * kNumbers) {
    add_vector<T>(sums, load_vector(row + k), op, k);
  }
  for (int64_t k = vectors_end + lane; k < op.in; k += kWarp) {
    const float w = to_float(row[k]);
    UNROLL
    for (int r = 0; r < kRows; r++) {
      if (r < op.rows) sums[r] = fmaf(w, op.x[r * op.in + k], sums[r]);
    }
  }
  UNROLL
  for (int r = 0; r < kRows; r++) {
    const float sum = warp_reduce(sums[r], Plus());
    if (lane == 0 && r < op.rows) op.out.store(r, n, sum);
  }
}

bool aligned(const void* data) {
  return reinterpret_cast<uintptr_t>(data) % sizeof(Vector) == 0;
}

template <typename T>
void multiply_float(const Linear& op, Stream stream) {
  const bool vectors = op.x.columns * sizeof(T) % sizeof(Vector) == 0 && op.x.columns % 4 == 0 &&
                       aligned(op.weight.data) && aligned(op.x.data);
  const int64_t vectors_end = vectors ? op.x.columns : 0;
  const auto blocks = static_cast<unsigned>((op.y.columns + kFloatWarps - 1) / kFloatWarps);
  for_row_chunks(op, [&](const LinearRows& rows) {
    const Launch shape{{blocks}, {kFloatWarps * kWarp}, 0, stream};
    const auto kernel =
        rows.rows == 1 ? linear_float_kernel<T, 1> : linear_float_kernel<T, kMostRows>;
    launch(shape, kernel, rows, op.weight.as<T>(), vectors_end);
  });
}

}  // namespace

void linear_float(const Linear& op, Stream stream) {
  switch (op.weight.dtype) {
    case DType::f32:
      return multiply_float<float>(op, stream);
    case DType::f16:
      return multiply_float<F16>(op, stream);
    default:
      return multiply_float<Bf16>(op, stream);
  }
}

}  // namespace minicpm::cuda
