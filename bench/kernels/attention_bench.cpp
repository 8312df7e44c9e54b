#include <tuple>

#include "bench/kernels/bench.h"
#include "native/backend/buffer.h"

namespace minicpm::bench {

namespace {

struct Model {
  const char* name;
  int kv_heads, group, head_dim;
};

constexpr Model kModels[] = {{"0.5b", 2, 8, 64}, {"8b", 2, 16, 128}, {"smollm2", 3, 3, 64}};

/// Layers of blocks filled with small numbers: enough of them that decoding reads from memory.
struct Cache {
  KvLayout layout;
  Buffer memory;
  std::vector<std::byte*> blocks;

  Cache(const Model& model, DType dtype, int length)
      : layout{dtype, 1, model.kv_heads, model.head_dim} {
    const int count = (length + kBlockTokens - 1) / kBlockTokens;
    const auto bytes =
        static_cast<size_t>(count) * 2 * layout.head_bytes() * static_cast<size_t>(model.kv_heads);
    while (layout.layers * bytes < size_t{100} << 20) layout.layers++;
    memory = Buffer(layout.block_bytes() * static_cast<size_t>(count));
    for (size_t i = 0; i < memory.size() / 2; i++) {
      memory.as<uint16_t>()[i] = static_cast<uint16_t>(0x2800 + (i * 40503 >> 5 & 0x83ff));
    }
    for (int b = 0; b < count; b++) {
      blocks.push_back(memory.data() + static_cast<size_t>(b) * layout.block_bytes());
    }
  }
};

}  // namespace

BENCH(attention) {
  Workers workers(threads());
  for (const CpuKernels* set : kernel_sets()) {
    for (const Model& model : kModels) {
      for (const auto& [dtype, tokens, depth] : {std::tuple{DType::f16, 1, 512},
                                                 {DType::f16, 1, 4096},
                                                 {DType::f16, 1, 32000},
                                                 {DType::f16, 6, 4096},
                                                 {DType::f16, 512, 0},
                                                 {DType::f16, 512, 3584},
                                                 {DType::i8, 1, 4096},
                                                 {DType::i8, 1, 32000},
                                                 {DType::i8, 512, 3584}}) {
        const std::string name = std::string("attention  ") + set->isa + "  " + name_of(dtype) +
                                 "  " + model.name + "  tokens " + std::to_string(tokens) +
                                 "  depth " + std::to_string(depth);
        if (!wanted(name)) continue;
        Cache cache(model, dtype, depth + tokens);
        const int columns = model.kv_heads * model.group * model.head_dim;
        Buffer rows(static_cast<size_t>(tokens * columns) * 4);
        for (int i = 0; i < tokens * columns; i++) rows.as<float>()[i] = 0.01f * (i % 9);
        Buffer results(rows.size());
        const Segment segment{0, tokens, depth, cache.blocks.data()};
        int layer = 0;
        // Two products of each query with each key it sees.
        const double seen = tokens * (depth + (tokens + 1) / 2.0);
        measure({name, 4 * seen * columns, Limit::fma, set, &workers, [&] {
                   layer = (layer + 1) % cache.layout.layers;
                   set->attention({{results.data(), DType::f32, tokens, columns},
                                   {rows.data(), DType::f32, tokens, columns},
                                   {&segment, 1},
                                   cache.layout,
                                   layer,
                                   0.125f},
                                  workers);
                 }});
      }
    }
  }
}

}  // namespace minicpm::bench
