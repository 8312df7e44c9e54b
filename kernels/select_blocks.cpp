#include "kernels/select_blocks.h"

namespace minicpm {

void SelectBlocks::check() const {
  expect("select_blocks", kv_heads > 0, "kv_heads should be positive");
  expect("select_blocks", scores.rows % kv_heads == 0,
         "scores should have kv_heads rows for every token");
  expect("select_blocks", "scores", scores, scores.rows, scores.columns, DType::f32);
  expect("select_blocks", segments, scores.rows / kv_heads);
  expect("select_blocks", masks.words != nullptr || scores.rows == 0, "masks should have data");
  rule.check("select_blocks");
  for (const Segment& segment : segments) {
    if (segment.count == 0) continue;
    const int64_t blocks = (segment.position + segment.count - 1) / kBlockTokens + 1;
    expect("select_blocks", blocks <= masks.stride * 64, "masks should have a bit for every block");
    expect("select_blocks", blocks - rule.near() <= scores.columns,
           "scores should have a column for every block that competes");
  }
}

}  // namespace minicpm
