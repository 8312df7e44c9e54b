#include <tuple>

#include "bench/kernels/bench.h"
#include "kernels/cpu/select_blocks.h"
#include "native/backend/buffer.h"
#include "native/engine/pooled_slabs.h"

namespace minicpm::bench {

namespace {

struct Model {
  const char* name;
  int layers, kv_heads, group, head_dim;
};

constexpr Model kModels[] = {{"0.5b", 24, 2, 8, 64}, {"8b", 32, 2, 16, 128}};

}  // namespace

/// Scores of all blocks behind `depth` tokens and the choice among them: what sparse attention adds
/// to a token.
BENCH(score_blocks) {
  Workers workers(threads());
  for (const CpuKernels* set : kernel_sets()) {
    for (const Model& model : kModels) {
      for (const auto& [dtype, tokens, depth] : {std::tuple{DType::f16, 1, 8192},
                                                 {DType::f16, 1, 32768},
                                                 {DType::f16, 1, 131072},
                                                 {DType::f16, 64, 32768},
                                                 {DType::i8, 1, 32768},
                                                 {DType::i8, 1, 131072},
                                                 {DType::i8, 64, 32768}}) {
        for (const bool coarse : {false, true}) {
          const std::string name = std::string("score_blocks  ") + set->isa + "  " +
                                   name_of(dtype) + "  " + model.name + "  tokens " +
                                   std::to_string(tokens) + "  depth " + std::to_string(depth) +
                                   (coarse ? "  coarse" : "  exact");
          if (!wanted(name)) continue;
          // As in the engine; of blocks, only pooled keys are ever touched.
          const KvLayout layout{dtype,          model.layers, model.kv_heads,
                                model.head_dim, true,         kSlabBlocks};
          const int count = (depth + tokens + kBlockTokens - 1) / kBlockTokens;
          std::vector<uint16_t> numbers(layout.pooled_bytes() / 2);
          for (size_t i = 0; i < numbers.size(); i++) {
            numbers[i] = static_cast<uint16_t>(0x2800 + (i * 40503 >> 5 & 0x83ff));
          }
          PooledSlabs slabs(layout);
          std::vector<std::byte*> places;
          for (int b = 0; b < count; b++) {
            places.push_back(slabs.take());
            slabs.write(places.back(), reinterpret_cast<const std::byte*>(numbers.data()));
          }
          const int columns = model.kv_heads * model.group * model.head_dim;
          Buffer rows(static_cast<size_t>(tokens * columns) * 4);
          for (int i = 0; i < tokens * columns; i++) rows.as<float>()[i] = 0.01f * (i % 9);
          const int64_t score_rows = int64_t{tokens} * model.kv_heads, words = (count + 63) / 64;
          Buffer scores(static_cast<size_t>(score_rows * count) * 4);
          Buffer masks(static_cast<size_t>(score_rows * words) * 8);
          const Segment segment{0, tokens, depth, places.data(), places.data()};
          const SparseRule rule{.coarse = coarse};
          const Tensor score_tensor{scores.data(), DType::f32, score_rows, count};
          const double windows = depth / 16.0 + (coarse ? depth / 64.0 : 0);
          int layer = 0;
          measure({name, 2 * windows * tokens * columns, Limit::fma, set, &workers, [&] {
                     layer = (layer + 1) % layout.layers;
                     set->score_blocks({score_tensor,
                                        {rows.data(), DType::f32, tokens, columns},
                                        {&segment, 1},
                                        layout,
                                        layer,
                                        0.125f,
                                        rule},
                                       workers);
                     select_blocks({{masks.as<uint64_t>(), words},
                                    score_tensor,
                                    {&segment, 1},
                                    model.kv_heads,
                                    rule},
                                   workers);
                   }});
        }
      }
    }
  }
}

}  // namespace minicpm::bench
