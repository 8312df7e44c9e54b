#include "kernels/score_blocks.h"

namespace minicpm {

void ScoreBlocks::check() const {
  expect("score_blocks", layout, layer);
  expect("score_blocks", layout.pooled, "the KV layout has no pooled keys");
  expect("score_blocks",
         q.columns > 0 && q.columns % (int64_t{layout.kv_heads} * layout.head_dim) == 0,
         "q should have a multiple of kv_heads * head_dim columns");
  expect("score_blocks", "q", q, q.rows, q.columns, DType::f32);
  expect("score_blocks", "scores", scores, q.rows * layout.kv_heads, scores.columns, DType::f32);
  expect("score_blocks", segments, q.rows);
  rule.check("score_blocks");
  for (const Segment& segment : segments) {
    expect("score_blocks",
           segment.count == 0 ||
               rule.candidates_end(segment.position + segment.count - 1) <= scores.columns,
           "scores should have a column for every block");
  }
}

}  // namespace minicpm
