// Scores of blocks on the CPU: lanes are fine pooled keys, 4 of each of 4 blocks. The work is cut
// by token and KV head; all query heads of a group read each pooled key once.
#include "kernels/score_blocks.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/row_tiles.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/table.h"

namespace minicpm::ISA {

namespace {

constexpr int kTileBlocks = kLanes / kBlockWindows;  // blocks of a tile of 16 windows
constexpr int kRowsAtOnce = kWideLanes == 16 ? 8 : 4;

/// What one token and KV head works on. Slot i of a row is fine window i - 1: slots are counted
/// through the blocks, and in the first block the first does not exist.
struct Unit {
  const ScoreBlocks& op;
  const Segment& segment;
  int64_t position;
  int kv_head, group, dim;
  int64_t slots;   // of a row: a multiple of 16
  float* queries;  // [group][dim], scaled
  float* weights;  // [group][slots]
  float* norms;    // [group][coarse windows, padded to 16]
  float* sums;     // [slots]

  template <typename T>
  const T* pooled(int64_t block) const {
    return reinterpret_cast<const T*>(segment.blocks[block] +
                                      op.layout.pooled_offset(op.layer, kv_head));
  }
};

/// weights[r][16 slots of `tile`] = queries[r] . pooled key, for R rows from `row` on.
template <typename T, int R>
inline void dot_tile(const Unit& unit, int row, const T* const* blocks, int64_t tile) {
  f32x16 dots[R];
  for (int r = 0; r < R; r++) dots[r] = broadcast(0);
  for (int d = 0; d < unit.dim; d++) {
    const size_t at = fine_index(0, d);
    const f32x16 keys = load_quads(blocks[0] + at, blocks[1] + at, blocks[2] + at, blocks[3] + at);
    for (int r = 0; r < R; r++) {
      dots[r] = fma(keys, broadcast(unit.queries[(row + r) * unit.dim + d]), dots[r]);
    }
  }
  for (int r = 0; r < R; r++) {
    store(unit.weights + (row + r) * unit.slots + tile * kLanes, dots[r]);
  }
}

template <typename T>
void dot_fine(const Unit& unit, int64_t tiles) {
  const int64_t own = unit.position / kBlockTokens;
  for (int64_t tile = 0; tile < tiles; tile++) {
    const T* blocks[kTileBlocks];
    for (int i = 0; i < kTileBlocks; i++) {
      const int64_t block = tile * kTileBlocks + i;
      blocks[i] = unit.pooled<T>(block < own ? block : own);
    }
    on_row_tiles<kRowsAtOnce>(0, unit.group,
                              [&]<int R>(int row) { dot_tile<T, R>(unit, row, blocks, tile); });
  }
}

/// norms[r][i] = queries[r] . the coarse pooled key i.
template <typename T>
void dot_coarse(const Unit& unit, int64_t windows, int64_t stride) {
  for (int64_t i = 0; i < windows; i++) {
    const T* key = unit.pooled<T>(i + 1) + fine_index(0, unit.dim);
    for (int r = 0; r < unit.group; r++) {
      f32x16 dot = broadcast(0);
      for (int d = 0; d < unit.dim; d += kLanes) {
        const int n = unit.dim - d < kLanes ? unit.dim - d : kLanes;
        dot = fma(load_first(key + d, n), load_first(unit.queries + r * unit.dim + d, n), dot);
      }
      unit.norms[r * stride + i] = sum(dot);
    }
  }
}

/// The numbers of one vector at index `first` that lie in [low, high), minus infinity elsewhere.
inline f32x16 within(f32x16 x, int64_t first, int64_t low, int64_t high) {
  const f32x16 hidden = broadcast(-__builtin_inff()), lane = load(kLaneNumbers);
  const f32x16 before = broadcast(static_cast<float>(low - first));
  const f32x16 behind = broadcast(static_cast<float>(high - first));
  return select_less(lane, before, hidden, select_less(lane, behind, x, hidden));
}

struct Softmax {
  float largest, sum;
};

/// Of the numbers [low, high); x has whole vectors.
Softmax softmax_of(const float* x, int64_t low, int64_t high) {
  f32x16 most = broadcast(-__builtin_inff()), total = broadcast(0);
  for (int64_t i = 0; i < high; i += kLanes) most = max(most, within(load(x + i), i, low, high));
  const float top = largest(most);
  for (int64_t i = 0; i < high; i += kLanes) {
    total = total + exp(within(load(x + i), i, low, high) - broadcast(top));
  }
  return {top, sum(total)};
}

/// sums[slot] = sum over the rows of their softmax weights; what a query does not see weighs 0.
void sum_weights(const Unit& unit, int64_t seen, int64_t coarse, int64_t stride) {
  for (int64_t i = 0; i < unit.slots; i += kLanes) store(unit.sums + i, broadcast(0));
  for (int r = 0; r < unit.group; r++) {
    const float* x = unit.weights + r * unit.slots;
    const Softmax over =
        coarse > 0 ? softmax_of(unit.norms + r * stride, 0, coarse) : softmax_of(x, 1, seen + 1);
    const f32x16 share = broadcast(1 / over.sum), top = broadcast(over.largest);
    for (int64_t i = 0; i < seen + 1; i += kLanes) {
      const f32x16 weight = exp(within(load(x + i), i, 1, seen + 1) - top);
      store(unit.sums + i, fma(weight, share, load(unit.sums + i)));
    }
  }
}

template <typename T>
void score(const Unit& unit, float* scores) {
  const SparseRule& rule = unit.op.rule;
  const int64_t seen = fine_windows(unit.position);
  const int64_t coarse = rule.coarse ? coarse_windows(unit.position) : 0;
  const int64_t stride = unit.slots / kBlockWindows;  // a multiple of 16: slots is one of 64
  dot_fine<T>(unit, (seen + kLanes) / kLanes);
  if (coarse > 0) dot_coarse<T>(unit, coarse, stride);
  sum_weights(unit, seen, coarse, stride);
  for (int64_t b = rule.init_blocks; b < rule.candidates_end(unit.position); b++) {
    const float* s = unit.sums + b * kBlockWindows;
    float best = s[0];
    for (int i = 1; i <= kBlockWindows; i++) best = s[i] > best ? s[i] : best;
    scores[b] = best;
  }
}

}  // namespace

void score_blocks(const ScoreBlocks& op, Workers& workers) {
  const int kv_heads = op.layout.kv_heads, dim = op.layout.head_dim;
  const int group = static_cast<int>(op.q.columns) / dim / kv_heads;
  // Room for the longest sequence, so that a growing one allocates nothing.
  const int64_t blocks = (op.scores.columns + op.rule.near() + kLanes) / kLanes * kLanes;
  const int64_t slots = blocks * kBlockWindows;
  const int64_t floats = group * (dim + slots + blocks) + slots;
  workers.reserve(static_cast<size_t>(floats) * sizeof(float), 0);

  for (size_t s = 0; s < op.segments.size(); s++) {
    const Segment& segment = op.segments[s];
    int first = 0;  // rows from here on do not attend to all
    while (first < segment.count && op.rule.attends_all(segment.position + first)) first++;
    auto item = [&](int i, int thread) {
      const int row = first + i / kv_heads, kv_head = i % kv_heads;
      float* queries = static_cast<float*>(workers.scratch(thread));
      float* weights = queries + group * dim;
      float* norms = weights + group * slots;
      const Unit unit{op,      segment, segment.position + row, kv_head, group, dim, slots, queries,
                      weights, norms,   norms + group * blocks};
      const int64_t batch_row = int64_t{segment.row} + row;
      const float* q = static_cast<const float*>(op.q.data) + batch_row * op.q.columns +
                       int64_t{kv_head} * group * dim;
      for (int j = 0; j < group * dim; j++) queries[j] = q[j] * op.scale;
      float* scores = static_cast<float*>(op.scores.data) +
                      (batch_row * kv_heads + kv_head) * op.scores.columns;
      if (op.layout.dtype == DType::f32) {
        score<float>(unit, scores);
      } else {
        score<F16>(unit, scores);
      }
    };
    for_each(workers, (segment.count - first) * kv_heads, item);
  }
}

}  // namespace minicpm::ISA
