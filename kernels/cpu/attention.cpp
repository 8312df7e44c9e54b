// Attention on the CPU. The work is cut into units: up to 8 neighbouring tokens of a segment, one
// KV head, all query heads of its group; every key and value is read once a unit. Prefill and
// decode differ in the size of units only. Few units on many threads (decoding one long sequence):
// the threads take 64-key blocks of a unit instead, in rounds, so that the partial results waiting
// to be merged have a fixed size.
#include "kernels/attention.h"

#include "kernels/cpu/attention_tile.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/table.h"

namespace minicpm::ISA {

namespace {

constexpr int kTileTokens = 8;
constexpr int kBlocksAnItem = 4;  // of the split path

/// What all units of one run have in common.
struct Shape {
  int group, dim, stride;
  int rows;   // at most, in one unit
  int units;  // of all segments

  /// Floats of [rows][stride], and of one number a row.
  int64_t matrix() const { return int64_t{rows} * stride; }
};

struct Unit {
  const Segment* segment;
  int token;   // first of the segment's
  int tokens;  // 1 to 8
  int kv_head;

  /// Blocks that its last token sees.
  int blocks() const { return (segment->position + token + tokens - 1) / kBlockTokens + 1; }
};

int units_of(const Segment& segment, int kv_heads) {
  return (segment.count + kTileTokens - 1) / kTileTokens * kv_heads;
}

Shape shape_of(const Attention& op) {
  Shape shape{};
  shape.dim = op.layout.head_dim;
  shape.stride = (shape.dim + kLanes - 1) / kLanes * kLanes;
  shape.group = static_cast<int>(op.q.columns) / shape.dim / op.layout.kv_heads;
  int tokens = 0;
  for (size_t s = 0; s < op.segments.size(); s++) {
    const Segment& segment = op.segments[s];
    shape.units += units_of(segment, op.layout.kv_heads);
    if (segment.count > tokens) tokens = segment.count;
  }
  shape.rows = (tokens < kTileTokens ? tokens : kTileTokens) * shape.group;
  return shape;
}

Unit find_unit(const Attention& op, int index) {
  const Segment* segment = op.segments.data();
  const int kv_heads = op.layout.kv_heads;
  for (; index >= units_of(*segment, kv_heads); segment++) index -= units_of(*segment, kv_heads);
  const int token = index / kv_heads * kTileTokens;
  const int left = segment->count - token;
  return {segment, token, left < kTileTokens ? left : kTileTokens, index % kv_heads};
}

/// A partial result in memory of matrix() + 2 rows floats.
Partial partial_at(const Shape& shape, float* memory) {
  return {memory + shape.matrix(), memory + shape.matrix() + shape.rows, memory};
}

int64_t partial_floats(const Shape& shape) {
  return shape.matrix() + 2 * shape.rows;
}

/// Scratch of a thread that takes whole units: queries, weights, the state and one partial result.
int64_t whole_floats(const Shape& shape) {
  return shape.matrix() + shape.rows * kBlockTokens + 2 * partial_floats(shape);
}

/// Items of one unit in a round of the split path.
int pieces_of(const Shape& shape, const Workers& workers) {
  return (2 * workers.threads() + shape.units - 1) / shape.units;
}

/// Shared scratch of one unit of the split path: queries, the state and a round's partial results.
int64_t split_floats(const Shape& shape, const Workers& workers) {
  const int64_t round = pieces_of(shape, workers) * kBlocksAnItem;
  return shape.matrix() + (1 + round) * partial_floats(shape);
}

/// The unit's rows in q (or y): [token][group][dim], tokens q.columns apart.
float* rows_in(const Attention& op, const Tensor& tensor, const Unit& unit, const Shape& shape) {
  const int64_t token = int64_t{unit.segment->row} + unit.token;
  return static_cast<float*>(tensor.data) + token * op.q.columns +
         int64_t{unit.kv_head} * shape.group * shape.dim;
}

/// The tile of a unit over scratch for its queries (matrix() floats, filled by load_queries) and
/// weights (rows * 64).
Tile tile_of(const Unit& unit, const Shape& shape, const float* queries, float* weights) {
  return {unit.tokens * shape.group,
          shape.group,
          unit.segment->position + unit.token,
          shape.dim,
          shape.stride,
          queries,
          weights};
}

void load_queries(const Attention& op, const Unit& unit, const Shape& shape, float* queries) {
  const float* q = rows_in(op, op.q, unit, shape);
  for (int token = 0; token < unit.tokens; token++, q += op.q.columns) {
    for (int head = 0; head < shape.group; head++, queries += shape.stride) {
      for (int d = 0; d < shape.dim; d += kLanes) {
        const int n = shape.dim - d < kLanes ? shape.dim - d : kLanes;
        store(queries + d, load_first(q + head * shape.dim + d, n) * broadcast(op.scale));
      }
    }
  }
}

void write_result(const Attention& op, const Unit& unit, const Shape& shape, const Partial& state) {
  float* y = rows_in(op, op.y, unit, shape);
  const float* values = state.values;
  const float* sums = state.sums;
  for (int token = 0; token < unit.tokens; token++, y += op.q.columns) {
    for (int head = 0; head < shape.group; head++, values += shape.stride, sums++) {
      for (int d = 0; d < shape.dim; d += kLanes) {
        const int n = shape.dim - d < kLanes ? shape.dim - d : kLanes;
        store_first(y + head * shape.dim + d, load(values + d) / broadcast(*sums), n);
      }
    }
  }
}

/// What one block adds to a unit; the next one is `ahead` blocks further (0: there is none).
template <typename T>
void attend(const Attention& op, const Unit& unit, const Tile& tile, int block, int ahead,
            const Partial& partial) {
  const size_t k = op.layout.k_offset(op.layer, unit.kv_head);
  const size_t v = op.layout.v_offset(op.layer, unit.kv_head);
  const std::byte* const now = unit.segment->blocks[block];
  const std::byte* const next = unit.segment->blocks[block + ahead];
  const auto numbers = [](const std::byte* memory) { return reinterpret_cast<const T*>(memory); };
  attend_block(tile, block, Stream<T>{numbers(now + k), numbers(next + k)},
               Stream<T>{numbers(now + v), numbers(next + v)}, partial);
}

/// A unit an item, each from its first block to its last.
template <typename T>
void by_units(const Attention& op, const Shape& shape, Workers& workers) {
  auto item = [&](int i, int thread) {
    const Unit unit = find_unit(op, i);
    float* queries = static_cast<float*>(workers.scratch(thread));
    float* weights = queries + shape.matrix();
    float* partials = weights + shape.rows * kBlockTokens;
    const Partial state = partial_at(shape, partials);
    const Partial partial = partial_at(shape, partials + partial_floats(shape));
    const Tile tile = tile_of(unit, shape, queries, weights);
    load_queries(op, unit, shape, queries);
    clear(tile, state);
    for (int block = 0; block < unit.blocks(); block++) {
      attend<T>(op, unit, tile, block, block + 1 < unit.blocks(), partial);
      merge(tile, first_seeing(tile, block), state, partial);
    }
    write_result(op, unit, shape, state);
  };
  for_each(workers, shape.units, item);
}

/// Blocks of units an item, in rounds; between rounds each unit's partials are merged in block
/// order.
template <typename T>
void by_blocks(const Attention& op, const Shape& shape, int most_blocks, Workers& workers) {
  const int pieces = pieces_of(shape, workers), round = pieces * kBlocksAnItem;
  const auto queries_of = [&](int unit) {
    return static_cast<float*>(workers.shared_scratch()) + unit * split_floats(shape, workers);
  };
  const auto state_of = [&](int unit) {
    return partial_at(shape, queries_of(unit) + shape.matrix());
  };
  const auto partial_of = [&](int unit, int block) {
    return partial_at(
        shape, queries_of(unit) + shape.matrix() + (1 + block % round) * partial_floats(shape));
  };
  for (int u = 0; u < shape.units; u++) {
    const Unit unit = find_unit(op, u);
    load_queries(op, unit, shape, queries_of(u));
    clear(tile_of(unit, shape, queries_of(u), nullptr), state_of(u));
  }
  for (int first = 0; first < most_blocks; first += round) {
    auto attend_piece = [&](int i, int thread) {
      const int u = i / pieces;
      const Unit unit = find_unit(op, u);
      float* weights = static_cast<float*>(workers.scratch(thread));
      const Tile tile = tile_of(unit, shape, queries_of(u), weights);
      const int begin = first + i % pieces * kBlocksAnItem;
      const int end = begin + kBlocksAnItem < unit.blocks() ? begin + kBlocksAnItem : unit.blocks();
      for (int block = begin; block < end; block++) {
        attend<T>(op, unit, tile, block, block + 1 < end, partial_of(u, block));
      }
    };
    for_each(workers, shape.units * pieces, attend_piece);
    auto merge_unit = [&](int u, int) {
      const Unit unit = find_unit(op, u);
      const Tile tile = tile_of(unit, shape, queries_of(u), nullptr);
      for (int block = first; block < first + round && block < unit.blocks(); block++) {
        merge(tile, first_seeing(tile, block), state_of(u), partial_of(u, block));
      }
      if (first + round >= most_blocks) write_result(op, unit, shape, state_of(u));
    };
    for_each(workers, shape.units, merge_unit);
  }
}

template <typename T>
void attention_as(const Attention& op, Workers& workers) {
  const Shape shape = shape_of(op);
  if (shape.units == 0) return;
  int most_blocks = 0;
  for (int u = 0; u < shape.units; u++) {
    const int blocks = find_unit(op, u).blocks();
    if (blocks > most_blocks) most_blocks = blocks;
  }
  // Splitting costs two waits a round; it pays where whole units would leave threads without work.
  const int threads = workers.threads();
  const bool uneven = shape.units < 4 * threads && shape.units % threads != 0;
  // For both ways, so that a sequence that grows from one into the other allocates nothing.
  const int64_t shared = uneven ? shape.units * split_floats(shape, workers) : 0;
  workers.reserve(static_cast<size_t>(whole_floats(shape)) * sizeof(float),
                  static_cast<size_t>(shared) * sizeof(float));
  if (uneven && most_blocks >= 2 * kBlocksAnItem) {
    by_blocks<T>(op, shape, most_blocks, workers);
  } else {
    by_units<T>(op, shape, workers);
  }
}

}  // namespace

void attention(const Attention& op, Workers& workers) {
  if (op.layout.dtype == DType::f32) {
    attention_as<float>(op, workers);
  } else {
    attention_as<F16>(op, workers);
  }
}

}  // namespace minicpm::ISA
