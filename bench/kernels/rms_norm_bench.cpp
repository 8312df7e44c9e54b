#include "bench/kernels/bench.h"
#include "native/backend/buffer.h"

namespace minicpm::bench {

BENCH(rms_norm) {
  Workers workers(threads());
  Buffer memory(size_t{512} * 4096 * 8 + 4096 * 4);
  for (size_t i = 0; i < memory.size() / 4; i++) memory.as<float>()[i] = 0.01f * (i % 400) - 2;
  float* const x = memory.as<float>();
  for (const CpuKernels* set : kernel_sets()) {
    for (int64_t tokens : {1, 512}) {
      const Tensor rows{x, DType::f32, tokens, 4096};
      const Tensor weight{x + 2 * 512 * 4096, DType::f32, 1, 4096};
      measure({std::string("rms_norm  ") + set->isa + "  tokens " + std::to_string(tokens) +
                   "  hidden 4096",
               0, Limit::none, set, &workers, [&] {
                 set->rms_norm({rows, rows, weight, 1e-5f}, workers);
               }});
    }
  }
}

}  // namespace minicpm::bench
