// Rows in tiles whose size is known when compiling, so that their sums stay in registers.
#pragma once

namespace minicpm::ISA {

/// Calls f<R>(row) for the rows [first, rows) in tiles of R rows, at most as many as given.
template <int R, typename F>
inline void on_row_tiles(int first, int rows, F f) {
  int row = first;
  for (; row + R <= rows; row += R) f.template operator()<R>(row);
  if constexpr (R > 1) on_row_tiles<R - 1>(row, rows, f);
}

}  // namespace minicpm::ISA
