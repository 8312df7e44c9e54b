// The two ways through packed weights, picked by the dtype of x.
#pragma once

#include "kernels/cpu/workers.h"
#include "kernels/linear.h"

namespace minicpm::ISA {

/// Linears with packed weights and x in a8, in one parallel region.
void linears_rounded(const Linears& op, Workers& workers);

/// One with packed weights and x in f32.
void linear_widened(const Linear& op, Workers& workers);

/// Writes residual + scale * y for the `count` (1 to 16) rows of a tile: `at` is their place in the
/// op's y.
void finish_rows(const Linear& op, const float* y, int64_t at, int count);

/// The same for rows [row, row + rows) of x: y is [rows][16].
void finish_tile(const Linear& op, const float* y, int64_t row, int64_t rows, int64_t tile);

}  // namespace minicpm::ISA
