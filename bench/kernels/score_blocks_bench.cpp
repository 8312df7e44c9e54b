#include <tuple>

#include "bench/kernels/bench.h"
#include "kernels/cpu/select_blocks.h"
#include "native/backend/buffer.h"

namespace minicpm::bench {

namespace {

struct Model {
  const char* name;
  int kv_heads, group, head_dim;
};

constexpr Model kModels[] = {{"0.5b", 2, 8, 64}, {"8b", 2, 16, 128}};

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
          const KvLayout layout{dtype, 1, model.kv_heads, model.head_dim, true};
          const int count = (depth + tokens + kBlockTokens - 1) / kBlockTokens;
          // Only pooled keys are read: blocks of nothing else, with the layout's offsets.
          const size_t pooled = layout.pooled_offset(1, 0) - layout.pooled_offset(0, 0);
          Buffer memory(pooled * static_cast<size_t>(count));
          std::vector<std::byte*> blocks;
          for (int b = 0; b < count; b++) {
            blocks.push_back(memory.data() + static_cast<size_t>(b) * pooled -
                             layout.pooled_offset(0, 0));
          }
          for (size_t i = 0; i < memory.size() / 2; i++) {
            memory.as<uint16_t>()[i] = static_cast<uint16_t>(0x2800 + (i * 40503 >> 5 & 0x83ff));
          }
          const int columns = model.kv_heads * model.group * model.head_dim;
          Buffer rows(static_cast<size_t>(tokens * columns) * 4);
          for (int i = 0; i < tokens * columns; i++) rows.as<float>()[i] = 0.01f * (i % 9);
          const int64_t score_rows = int64_t{tokens} * model.kv_heads, words = (count + 63) / 64;
          Buffer scores(static_cast<size_t>(score_rows * count) * 4);
          Buffer masks(static_cast<size_t>(score_rows * words) * 8);
          const Segment segment{0, tokens, depth, blocks.data()};
          const SparseRule rule{.coarse = coarse};
          const Tensor score_tensor{scores.data(), DType::f32, score_rows, count};
          const double windows = depth / 16.0 + (coarse ? depth / 64.0 : 0);
          measure({name, 2 * windows * tokens * columns, Limit::fma, set, &workers, [&] {
                     set->score_blocks({score_tensor,
                                        {rows.data(), DType::f32, tokens, columns},
                                        {&segment, 1},
                                        layout,
                                        0,
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
