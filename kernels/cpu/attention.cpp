// Attention on the CPU. The work is cut into units: up to 8 neighbouring tokens of a segment, one
// KV head, all query heads of its group; every key and value is read once a unit. Prefill and
// decode differ in the size of units only. Few units on many threads (decoding one long sequence):
// the threads take 64-key blocks of a unit instead, in rounds, so that the partial results waiting
// to be merged have a fixed size.
//
// Where blocks are selected, a unit goes through the blocks that any of its tokens has selected;
// those of its tokens that have not leave a block out.
#include "kernels/attention.h"

#include "kernels/cpu/attention_int8.h"
#include "kernels/cpu/attention_units.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/table.h"

namespace minicpm::ISA {

namespace {

constexpr int kBlocksAnItem = 4;  // of the split path

/// A partial result in memory of matrix() + 2 rows floats.
Partial partial_at(const Shape& shape, float* memory) {
  return {memory + shape.matrix(), memory + shape.matrix() + shape.rows, memory};
}

int64_t partial_floats(const Shape& shape) {
  return shape.matrix() + 2 * shape.rows;
}

/// Memory of a unit's list of blocks and its length, rounded up so that it seldom grows with a
/// sequence.
int64_t list_floats(const Shape& shape) {
  constexpr int64_t kStep = 1024;
  return (shape.most_blocks + kStep) / kStep * kStep;
}

/// Scratch of a thread that takes whole units: queries, weights, the state, one partial result and
/// the list of blocks.
int64_t whole_floats(const Shape& shape) {
  return shape.matrix() + shape.rows * kBlockTokens + 2 * partial_floats(shape) +
         list_floats(shape);
}

/// Items of one unit in a round of the split path.
int pieces_of(const Shape& shape, const Workers& workers) {
  return (2 * workers.threads() + shape.units - 1) / shape.units;
}

/// Shared scratch of one unit of the split path: queries, the state, a round's partial results and
/// the list of blocks.
int64_t split_floats(const Shape& shape, const Workers& workers) {
  const int64_t round = pieces_of(shape, workers) * kBlocksAnItem;
  return shape.matrix() + (1 + round) * partial_floats(shape) + list_floats(shape);
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
      if (op.layout.dtype == DType::i8) {
        load_int8_query(q + head * shape.dim, op.scale, shape.dim, queries);
        continue;
      }
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

template <typename T>
Stream<T> stream_of(const std::byte* now, const std::byte* next) {
  return {reinterpret_cast<const T*>(now), reinterpret_cast<const T*>(next)};
}

/// What one block adds to some rows of a unit, with the next one that the unit goes through.
template <typename T>
void attend(const Attention& op, const Unit& unit, const Tile& tile, int block, int next, Rows rows,
            const Partial& partial) {
  const size_t k = op.layout.k_offset(op.layer, unit.kv_head);
  const size_t v = op.layout.v_offset(op.layer, unit.kv_head);
  const std::byte* const here = unit.segment->blocks[block];
  const std::byte* const there = unit.segment->blocks[next];
  if constexpr (sizeof(T) == 1) {
    attend_int8(
        tile, block, stream_of<unsigned char>(here + k, there + k),
        stream_of<T>(here + v, there + v),
        reinterpret_cast<const float*>(here + op.layout.scales_offset(op.layer, unit.kv_head)),
        rows, partial);
  } else {
    attend_floats(tile, block, stream_of<T>(here + k, there + k), stream_of<T>(here + v, there + v),
                  rows, partial);
  }
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
    const Blocks blocks =
        blocks_of(op, unit, reinterpret_cast<int32_t*>(partials + 2 * partial_floats(shape)));
    load_queries(op, unit, shape, queries);
    clear(tile, state);
    for (int b = 0; b < blocks.count; b++) {
      const int block = blocks[b], next = blocks[b + 1 < blocks.count ? b + 1 : b];
      for_attending(op, unit, tile, block, [&](Rows rows) {
        attend<T>(op, unit, tile, block, next, rows, partial);
        merge(tile, rows, state, partial);
      });
    }
    write_result(op, unit, shape, state);
  };
  for_each(workers, shape.units, item);
}

/// Blocks of units an item, in rounds; between rounds each unit's partials are merged in block
/// order.
template <typename T>
void by_blocks(const Attention& op, const Shape& shape, Workers& workers) {
  const int pieces = pieces_of(shape, workers), round = pieces * kBlocksAnItem;
  const auto queries_of = [&](int unit) {
    return static_cast<float*>(workers.shared_scratch()) + unit * split_floats(shape, workers);
  };
  const auto state_of = [&](int unit) {
    return partial_at(shape, queries_of(unit) + shape.matrix());
  };
  const auto partial_of = [&](int unit, int i) {
    return partial_at(shape,
                      queries_of(unit) + shape.matrix() + (1 + i % round) * partial_floats(shape));
  };
  // Its blocks in order, behind their count.
  const auto list_of = [&](int unit) {
    return reinterpret_cast<int32_t*>(queries_of(unit) + shape.matrix() +
                                      (1 + round) * partial_floats(shape));
  };
  const auto listed = [&](int u, const Unit& unit) {
    if (op.selected.words == nullptr) return Blocks{nullptr, unit.seen_blocks()};
    return Blocks{list_of(u) + 1, list_of(u)[0]};
  };
  int most = 0;
  for (int u = 0; u < shape.units; u++) {
    const Unit unit = find_unit(op, u);
    load_queries(op, unit, shape, queries_of(u));
    clear(tile_of(unit, shape, queries_of(u), nullptr), state_of(u));
    const int count = blocks_of(op, unit, list_of(u) + 1).count;
    list_of(u)[0] = count;
    if (count > most) most = count;
  }
  for (int first = 0; first < most; first += round) {
    auto attend_piece = [&](int i, int thread) {
      const int u = i / pieces;
      const Unit unit = find_unit(op, u);
      float* weights = static_cast<float*>(workers.scratch(thread));
      const Tile tile = tile_of(unit, shape, queries_of(u), weights);
      const Blocks blocks = listed(u, unit);
      const int begin = first + i % pieces * kBlocksAnItem;
      const int end = begin + kBlocksAnItem < blocks.count ? begin + kBlocksAnItem : blocks.count;
      for (int b = begin; b < end; b++) {
        const int block = blocks[b], next = blocks[b + 1 < end ? b + 1 : b];
        for_attending(op, unit, tile, block, [&](Rows rows) {
          attend<T>(op, unit, tile, block, next, rows, partial_of(u, b));
        });
      }
    };
    for_each(workers, shape.units * pieces, attend_piece);
    auto merge_unit = [&](int u, int) {
      const Unit unit = find_unit(op, u);
      const Tile tile = tile_of(unit, shape, queries_of(u), nullptr);
      const Blocks blocks = listed(u, unit);
      for (int b = first; b < first + round && b < blocks.count; b++) {
        for_attending(op, unit, tile, blocks[b],
                      [&](Rows rows) { merge(tile, rows, state_of(u), partial_of(u, b)); });
      }
      if (first + round >= most) write_result(op, unit, shape, state_of(u));
    };
    for_each(workers, shape.units, merge_unit);
  }
}

template <typename T>
void attention_as(const Attention& op, Workers& workers) {
  const Shape shape = shape_of(op);
  if (shape.units == 0) return;
  // Splitting costs two waits a round.
  const bool splits = uneven(shape.units, workers);
  // For both ways, so that a sequence that grows from one into the other allocates nothing.
  const int64_t shared = splits ? shape.units * split_floats(shape, workers) : 0;
  workers.reserve(static_cast<size_t>(whole_floats(shape)) * sizeof(float),
                  static_cast<size_t>(shared) * sizeof(float));
  if (splits && shape.most_blocks >= 2 * kBlocksAnItem) {
    by_blocks<T>(op, shape, workers);
  } else {
    by_units<T>(op, shape, workers);
  }
}

}  // namespace

void attention(const Attention& op, Workers& workers) {
  if (op.layout.dtype == DType::f32) {
    attention_as<float>(op, workers);
  } else if (op.layout.dtype == DType::i8) {
    attention_as<int8_t>(op, workers);
  } else {
    attention_as<F16>(op, workers);
  }
}

}  // namespace minicpm::ISA
