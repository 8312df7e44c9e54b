// Keys and values that are not all in memory: what the forward pass asks for before an op reads
// them. Pooled keys and the scales of int8 ones are always there.
#pragma once

#include <cstdint>
#include <span>

namespace minicpm {

/// Keys and values of one block for one KV head of the layer at hand.
struct KvNeed {
  int segment;  // of the batch
  int kv_head;
  int block;  // of the segment's sequence
};

class KvFetch {
 public:
  virtual ~KvFetch() = default;

  /// How many needs can be in memory at once.
  virtual int64_t room() const = 0;

  /// Has all of `needed`, at most room(), in memory until the next call. Throws Error{kStorage}.
  virtual void fetch(int layer, std::span<const KvNeed> needed) = 0;
};

}  // namespace minicpm
