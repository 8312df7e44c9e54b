#include "kernels/cpu/repack.h"

#include "kernels/packed.h"

namespace minicpm {

void repack(const Repack& op, Workers& workers) {
  workers.run(
      static_cast<int>(packed_tiles(op.y.rows)),
      [](void* data, int tile, int) { repack_tile(*static_cast<const Repack*>(data), tile); },
      const_cast<Repack*>(&op));
}

}  // namespace minicpm
