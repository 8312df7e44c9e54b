// Sums and maxima over the lanes of a warp and the threads of a block, in a fixed order: the same
// bits every time, and for all threads.
#pragma once

#include "kernels/cuda/port.h"

namespace minicpm::cuda {

struct Plus {
  template <typename T>
  DEVICE T operator()(T a, T b) const {
    return a + b;
  }
};
struct Larger {
  template <typename T>
  DEVICE T operator()(T a, T b) const {
    return a < b ? b : a;
  }
};

template <typename T, typename Combine>
DEVICE T warp_reduce(T x, Combine combine) {
  for (int bits = kWarp / 2; bits > 0; bits /= 2) {
    x = combine(x, __shfl_xor_sync(kAllLanes, x, bits));
  }
  return x;
}

/// Of all threads of a block of `kThreads`, which all call it.
template <int kThreads, typename T, typename Combine>
DEVICE T block_reduce(T x, Combine combine) {
  SHARED(T, of_warps, kThreads / kWarp);
  x = warp_reduce(x, combine);
  if (threadIdx.x % kWarp == 0) of_warps[threadIdx.x / kWarp] = x;
  __syncthreads();
  x = of_warps[0];
  for (int w = 1; w < kThreads / kWarp; w++) x = combine(x, of_warps[w]);
  __syncthreads();  // a next call may write again
  return x;
}

}  // namespace minicpm::cuda
