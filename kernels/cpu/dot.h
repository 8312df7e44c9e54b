// Exact integer dot products of packed weights with int8 activations: 32 columns of some rows at a
// time, each 32-bit lane a row. What differs between instruction sets, for linear_packed.cpp:
//
//   kParts        vectors that the 16 rows of a tile take
//   kTilesAtOnce  neighbouring tiles that share each broadcast of activations
//   Bytes, Dots   a vector of 4 columns of its rows; one of the rows' dot products, as floats
//   each_dot      32 columns of R tiles, `tile_bytes` apart, of integers u = q + Zero, times those
//                 of M rows of activations: calls use(v, m, dot of q) for vector v of R * kParts
//                 and row m
//   each_gathered_dot  the same of one tile of w8, whose 16 rows come in 4 pieces of 4
//   each_stepped_dot   the same of w6, whose two halves of 16 columns are multiplied with their
//                 steps: those of a tile's 16 rows at steps, then at steps + 16
//   add_scaled    y = fma(dot, weight scale * activation scale, y)
//   subtract_scaled    y = fma(-minimum, scale, y)
#pragma once

#include "kernels/cpu/simd.h"
#include "kernels/packed.h"

namespace minicpm::ISA {

constexpr int kSteps = kPackedColumns / kPackedStep;

/// 32 columns of M rows of activations: column step s of row m at integers[s * M + m].
struct RoundedColumns {
  const int32_t* integers;
  const int32_t* sums;    // of a row's 32 integers
  const int32_t* halves;  // of the first 16
};

/// Where the upper bits of step S lie: the line behind those of the lower four bits, and how far to
/// the left they have to be moved to their place in a byte (to the right where negative).
template <DType F>
constexpr int plane_line(int step) {
  return step * (packed_bits(F) - 4) / 8;
}
template <DType F>
constexpr int plane_shift(int step) {
  return 4 - step * (packed_bits(F) - 4) % 8;
}
template <DType F>
constexpr int kPlaneMask = (1 << packed_bits(F)) - 16;

/// Lines of the lower four bits.
constexpr int kNibbleLines = kPackedColumns * kPackedRows / 2 / kPackedLine;

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

#if !defined(__AVX512F__)
namespace minicpm::ISA {

template <int Zero, int M, typename Use>
inline void each_gathered_dot(const unsigned char* const* pieces, RoundedColumns x, Use use) {
  constexpr int kPiece = kPackedLine / 4;
  alignas(kPackedLine) unsigned char lines[kSteps * kPackedLine];
  for (int s = 0; s < kSteps; s++) {
    for (int i = 0; i < 4; i++) {
      __builtin_memcpy(lines + s * kPackedLine + i * kPiece, pieces[i] + s * kPiece, kPiece);
    }
  }
  each_dot<DType::w8, Zero, 1, M>(lines, sizeof lines, x, use);
}

}  // namespace minicpm::ISA
#endif
