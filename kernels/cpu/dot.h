// Exact integer dot products of packed weights with int8 activations: 32 columns of some rows at a
// time, each 32-bit lane a row. What differs between instruction sets, for linear_packed.cpp:
//
//   kParts        vectors that the 16 rows of a tile take
//   kTilesAtOnce  neighbouring tiles that share each broadcast of activations
//   Bytes, Dots   a vector of 4 columns of its rows; one of the rows' dot products, as floats
//   each_dot      32 columns of R tiles, `tile_bytes` apart, times those of M rows of activations
//                 (column step s of row m at x[s * M + m], which add up to sums[m]): calls use(v,
//                 m, dot) for vector v of R * kParts and row m
//   add_scaled    y = fma(dot, weight scale * activation scale, y)
#pragma once

#include "kernels/cpu/simd.h"
#include "kernels/packed.h"

namespace minicpm::ISA {

constexpr int kSteps = kPackedColumns / kPackedStep;

}  // namespace minicpm::ISA

#if defined(__AVX512F__)
#include "kernels/cpu/dot_avx512.h"
#elif defined(AVXVNNI)
#include "kernels/cpu/dot_avxvnni.h"
#elif defined(__AVX2__)
#include "kernels/cpu/dot_avx2.h"
#else
#include "kernels/cpu/dot_baseline.h"
#endif
