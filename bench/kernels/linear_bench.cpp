#include "bench/kernels/bench.h"
#include "native/backend/buffer.h"

namespace minicpm::bench {

namespace {

/// 256 MiB of bf16 weights around 0.01 (read from memory, whatever the caches hold), and
/// activations.
struct Operands {
  static constexpr int64_t kWeights = int64_t{1} << 27;
  Buffer weights{kWeights * 2};
  Buffer x{size_t{512} * 16384 * 4};
  Buffer y{size_t{512} * 16384 * 4};
  int64_t next = 0;

  Operands() {
    for (int64_t i = 0; i < kWeights; i++) {
      weights.as<uint16_t>()[i] = static_cast<uint16_t>(0x3c00 | (i * 40503 >> 3 & 0x80ff));
    }
    for (int64_t i = 0; i < 512 * 16384; i++) x.as<float>()[i] = 0.01f * static_cast<float>(i % 7);
  }

  /// The op on the next weights in memory.
  Linear op(int64_t tokens, int64_t in, int64_t out) {
    if (next + in * out > kWeights) next = 0;
    const Tensor weight{weights.as<uint16_t>() + next, DType::bf16, out, in};
    next += in * out;
    return {{y.data(), DType::f32, tokens, out}, {x.data(), DType::f32, tokens, in}, weight, {}, 1};
  }
};

}  // namespace

BENCH(linear) {
  Workers workers(threads());
  Operands operands;
  // MiniCPM4-0.5B: queries, gate and up, down, head; MiniCPM4-8B: gate and up, down.
  const int64_t shapes[][2] = {{1024, 1024},  {4096, 1024},  {1024, 4096},
                               {73448, 1024}, {16384, 4096}, {4096, 16384}};
  for (const CpuKernels* set : kernel_sets()) {
    for (int64_t tokens : {1, 2, 3, 4, 6, 8, 16, 64, 512}) {
      for (const auto& [out, in] : shapes) {
        if (tokens > 6 && out > 20000) continue;  // prefill needs the last row only
        const std::string name = std::string("linear  ") + set->isa + "  bf16  tokens " +
                                 std::to_string(tokens) + "  " + std::to_string(out) + " x " +
                                 std::to_string(in);
        const bool streams = tokens <= 6;
        measure({name, streams ? 2.0 * out * in : 2.0 * tokens * out * in,
                 streams ? Limit::bandwidth : Limit::fma, set, &workers,
                 [&] { set->linear(operands.op(tokens, in, out), workers); }});
      }
    }
  }
}

}  // namespace minicpm::bench
