#include "kernels/cpu/pack.h"

#include "kernels/packed.h"

namespace minicpm {

void pack(const Pack& op, Workers& workers) {
  workers.reserve(static_cast<size_t>(op.x.columns) * sizeof(float), 0);
  struct Context {
    const Pack& op;
    Workers& workers;
  } context{op, workers};
  workers.run(
      static_cast<int>(packed_tiles(op.x.rows)),
      [](void* data, int tile, int thread) {
        const auto& [op, workers] = *static_cast<Context*>(data);
        pack_tile(op, tile, static_cast<float*>(workers.scratch(thread)));
      },
      &context);
}

void repack(const Repack& op, Workers& workers) {
  workers.run(
      static_cast<int>(packed_tiles(op.y.rows)),
      [](void* data, int tile, int) { repack_tile(*static_cast<const Repack*>(data), tile); },
      const_cast<Repack*>(&op));
}

}  // namespace minicpm
