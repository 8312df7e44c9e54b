#include "kernels/sparse_rule.h"

namespace minicpm {

void SparseRule::check(const char* op) const {
  expect(op, init_blocks >= 0 && local_blocks >= 0 && top_k >= 0,
         "the rule's counts of blocks should not be negative");
  expect(op, chosen() >= 0, "top_k should leave room for the blocks always attended to");
}

}  // namespace minicpm
