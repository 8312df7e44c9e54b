// Exact integer dot products of packed weights with int8 activations: 32 columns of some rows at a
// time, each 32-bit lane a row. What differs between instruction sets, for linear_packed.cpp:
//
//   kParts       vectors that the 16 rows of a tile take
//   kTogether    vectors of rows that share each broadcast of activations
//   Bytes, Dots  a vector of 4 columns of its rows; one of the rows' dot products, as floats
//   load_steps   32 columns as 8 vectors of what `dot` multiplies
//   dot          32 columns of weights times those of one row of activations, in order
//   add_scaled   y = fma(dot, weight scale * activation scale, y)
#pragma once

#include "kernels/cpu/simd.h"
#include "kernels/packed.h"

namespace minicpm::ISA {

constexpr int kSteps = kPackedColumns / kPackedStep;

}  // namespace minicpm::ISA

#if defined(__AVX512F__)
#include "kernels/cpu/dot_avx512.h"
#elif defined(__AVX2__)
#include "kernels/cpu/dot_avx2.h"
#else
#include "kernels/cpu/dot_baseline.h"
#endif
