#include "kernels/cpu/repack.h"

#include "kernels/packed.h"

namespace minicpm {

namespace {

template <typename Op, void (*Tile)(const Op&, int64_t)>
void each_tile(const Op& op, Workers& workers) {
  workers.run(
      static_cast<int>(packed_tiles(op.y.rows)),
      [](void* data, int tile, int) { Tile(*static_cast<const Op*>(data), tile); },
      const_cast<Op*>(&op));
}

}  // namespace

void repack(const Repack& op, Workers& workers) {
  each_tile<Repack, repack_tile>(op, workers);
}

void repack_arrays(const RepackArrays& op, Workers& workers) {
  each_tile<RepackArrays, repack_arrays_tile>(op, workers);
}

void reorder(const ReorderColumns& op, Workers& workers) {
  workers.run(
      static_cast<int>(op.x.rows),
      [](void* data, int row, int) {
        reorder_rows(*static_cast<const ReorderColumns*>(data), row, row + 1);
      },
      const_cast<ReorderColumns*>(&op));
}

void pack_ternary(const PackTernary& op, Workers& workers) {
  each_tile<PackTernary, pack_ternary_tile>(op, workers);
}

}  // namespace minicpm
