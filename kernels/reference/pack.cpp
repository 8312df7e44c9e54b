#include "kernels/pack.h"

#include <vector>

#include "kernels/packed.h"
#include "kernels/reference/ops.h"

namespace minicpm::reference {

void pack(const Pack& op) {
  std::vector<float> row(static_cast<size_t>(op.x.columns));
  for (int64_t tile = 0; tile < packed_tiles(op.x.rows); tile++) pack_tile(op, tile, row.data());
}

void repack(const Repack& op) {
  for (int64_t tile = 0; tile < packed_tiles(op.y.rows); tile++) repack_tile(op, tile);
}

void reorder(const ReorderColumns& op) {
  reorder_rows(op, 0, op.x.rows);
}

void pack_ternary(const PackTernary& op) {
  for (int64_t tile = 0; tile < packed_tiles(op.y.rows); tile++) pack_ternary_tile(op, tile);
}

void repack_arrays(const RepackArrays& op) {
  for (int64_t tile = 0; tile < packed_tiles(op.y.rows); tile++) repack_arrays_tile(op, tile);
}

}  // namespace minicpm::reference
