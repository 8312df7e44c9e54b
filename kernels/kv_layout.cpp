#include "kernels/kv_layout.h"

#include <string>

#include "kernels/error.h"

namespace minicpm {

void expect(const char* op, const KvLayout& layout, int layer) {
  const bool is_int8 = layout.dtype == DType::i8;
  expect(op, layout.dtype == DType::f32 || layout.dtype == DType::f16 || is_int8,
         "the KV layout's dtype should be f32, f16 or i8");
  expect(op, layout.kv_heads > 0, "the KV layout should have at least one head");
  expect(op, layout.head_dim > 0 && layout.head_dim % 8 == 0,
         "head_dim should be a positive multiple of 8");
  expect(op, !is_int8 || (layout.head_dim % 32 == 0 && layout.head_dim <= kMostInt8HeadDim),
         "head_dim should be a multiple of 32 and at most 2048 for int8 keys and values");
  if (layer < 0 || layer >= layout.layers) {
    throw Error(ErrorCode::kShape, std::string(op) + ": layer should be in [0, " +
                                       std::to_string(layout.layers) + "), is " +
                                       std::to_string(layer));
  }
}

void expect(const char* op, std::span<const Segment> segments, int64_t rows) {
  int64_t next = 0;
  for (const Segment& segment : segments) {
    if (segment.row < next || segment.count < 0 || segment.position < 0 ||
        int64_t{segment.row} + segment.count > rows) {
      throw Error(ErrorCode::kShape, std::string(op) + ": segments should be in order within [0, " +
                                         std::to_string(rows) + "), one has row " +
                                         std::to_string(segment.row) + ", count " +
                                         std::to_string(segment.count) + ", position " +
                                         std::to_string(segment.position));
    }
    expect(op, segment.count == 0 || segment.blocks != nullptr, "a segment has no blocks");
    next = int64_t{segment.row} + segment.count;
  }
}

}  // namespace minicpm
