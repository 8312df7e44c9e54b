// Attention over keys and values that do not all fit into memory: the batch is cut into parts whose
// blocks do. A row's bits depend on the row alone (contract 1), so the cuts do not show.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "kernels/attention.h"
#include "native/model/kv_fetch.h"

namespace minicpm {

class AttentionParts {
 public:
  /// Fetches what each part reads, then calls `run` with the op on its segments. `op.q` and `op.y`
  /// may be the same memory. `room()` is enough for any one row. Throws Error{kStorage}.
  void run(const Attention& op, KvFetch& kv, const std::function<void(const Attention&)>& run);

 private:
  /// Rows of a segment that come together.
  struct Rows {
    int segment, first, count;
  };

  /// Adds the rows to the part unless it would need more than `room` then.
  bool add(const Attention& op, const Rows& rows, int64_t room);
  void finish(const Attention& op, KvFetch& kv, const std::function<void(const Attention&)>& run);

  // Of the part at hand; kept, so that a decode step allocates nothing.
  std::vector<Segment> segments_;
  std::vector<int> numbers_;    // of the segments in the batch
  std::vector<uint64_t> bits_;  // of the last segment's needed blocks: [kv_heads][words]
  std::vector<KvNeed> needed_;
};

}  // namespace minicpm
