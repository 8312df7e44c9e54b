#include "bench/kernels/bench.h"
#include "kernels/packed.h"
#include "native/backend/buffer.h"
#include "native/os/os.h"

namespace minicpm::bench {

namespace {

/// Packed weights with their scales: those that weights are rounded to, then those of GGUF's types.
struct Kind {
  const char* name;
  DType format;
  int group = 128;
  Scales scales = Scales::symmetric;

  size_t bytes(int64_t rows, int64_t columns) const {
    return packed_bytes(format, rows, columns, group, scales);
  }
};

constexpr Kind kKinds[] = {{"w4", DType::w4},
                           {"w8", DType::w8},
                           {"w2", DType::w2},
                           {"Q4_0", DType::w4, 32},
                           {"Q4_1", DType::w4, 32, Scales::minimum},
                           {"Q4_K", DType::w4, 32, Scales::two_level_minimum},
                           {"Q5_0", DType::w5, 32},
                           {"Q5_K", DType::w5, 32, Scales::two_level_minimum},
                           {"Q6_K", DType::w6, 16, Scales::two_level}};

/// 384 MiB of any integers with scales around 0.01, read from memory whatever the caches hold, and
/// activations.
struct Operands {
  static constexpr size_t kWeights = size_t{384} << 20;
  Buffer weights{kWeights};
  Buffer x{size_t{512} * 16384 * 4};
  Buffer rounded{quantized_bytes(512, 16384)};
  Buffer y{size_t{512} * 32768 * 4};
  size_t next = 0;

  Operands() {
    os::prefer_large_pages(weights.data(), kWeights);
    // As f16 these bytes are numbers around 0.01; as integers they are any.
    for (size_t i = 0; i < kWeights / 2; i++) {
      weights.as<uint16_t>()[i] = static_cast<uint16_t>(0x2000 | (i * 40503 >> 3 & 0x83ff));
    }
    for (int64_t i = 0; i < 512 * 16384; i++) x.as<float>()[i] = 0.01f * static_cast<float>(i % 7);
  }

  Tensor input(int64_t tokens, int64_t in) { return {x.data(), DType::f32, tokens, in}; }
  Tensor round(const CpuKernels& set, int64_t tokens, int64_t in, Workers& workers) {
    const Tensor to{rounded.data(), DType::a8, tokens, in};
    set.quantize_rows({to, input(tokens, in), {}}, workers);
    return to;
  }

  /// The op on the next weights in memory.
  Linear op(const Tensor& x, const Kind& kind, int64_t out) {
    const size_t bytes = kind.bytes(out, x.columns);
    if (next + bytes > kWeights) next = 0;
    const Tensor weight{
        weights.data() + next, kind.format, out, x.columns, kind.group, kind.scales};
    next += bytes;
    return {{y.data(), DType::f32, x.rows, out}, x, weight, {}, 1};
  }
};

std::string title(const char* op, const CpuKernels& set, const char* format, int64_t tokens,
                  int64_t out, int64_t in) {
  return std::string(op) + "  " + set.isa + "  " + format + "  tokens " + std::to_string(tokens) +
         "  " + std::to_string(out) + " x " + std::to_string(in);
}

}  // namespace

BENCH(linear_packed) {
  Workers workers(threads());
  Operands operands;
  // MiniCPM4-0.5B: attention output, gate and up as one, down, head; MiniCPM4-8B: the same.
  const int64_t shapes[][2] = {{1024, 1024}, {8192, 1024},  {1024, 4096}, {73448, 1024},
                               {4096, 4096}, {32768, 4096}, {4096, 16384}};
  for (const CpuKernels* set : kernel_sets()) {
    for (const Kind& kind : kKinds) {
      for (int64_t tokens : {1, 2, 3, 4, 5, 6, 12, 48, 128, 512}) {
        for (const auto& [out, in] : shapes) {
          if (tokens > 6 && out > 50000) continue;  // prefill needs the last row only
          const bool streams = tokens <= 6;
          const std::string name = title("linear_packed", *set, kind.name, tokens, out, in);
          if (!wanted(name)) continue;
          const Tensor x = operands.round(*set, tokens, in, workers);
          measure({name,
                   streams ? static_cast<double>(kind.bytes(out, in))
                           : 2.0 * static_cast<double>(tokens * out * in),
                   streams ? Limit::bandwidth : Limit::int8, set, &workers,
                   [&] { set->linear(operands.op(x, kind, out), workers); }});
        }
      }
    }
  }
}

BENCH(linear_widened) {
  Workers workers(threads());
  Operands operands;
  for (const CpuKernels* set : kernel_sets()) {
    for (int64_t tokens : {1, 6, 128}) {
      const Tensor x = operands.input(tokens, 1024);
      measure({title("linear_widened", *set, "w4", tokens, 8192, 1024),
               2.0 * static_cast<double>(tokens * 8192 * 1024), Limit::fma, set, &workers,
               [&] { set->linear(operands.op(x, kKinds[0], 8192), workers); }});
    }
  }
}

BENCH(quantize_rows) {
  Workers workers(threads());
  Operands operands;
  for (const CpuKernels* set : kernel_sets()) {
    for (const auto& [tokens, columns] :
         {std::pair<int64_t, int64_t>{1, 1024}, {1, 4096}, {512, 1024}, {512, 4096}}) {
      measure({"quantize_rows  " + std::string(set->isa) + "  tokens " + std::to_string(tokens) +
                   "  columns " + std::to_string(columns),
               4.0 * static_cast<double>(tokens * columns), Limit::none, set, &workers,
               [&] { operands.round(*set, tokens, columns, workers); }});
    }
  }
}

}  // namespace minicpm::bench
