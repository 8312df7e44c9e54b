// Scores of blocks on the CPU, in chunks of 64 blocks: first each chunk's softmax by itself, then
// what each is of the whole, then the scores. The order of all sums depends on the position alone.
//
// The work is cut by token and KV head. Where those leave threads without work (decode on many) it
// is cut by chunk; then the threads wait between the three steps, and each scores what it has
// weighed.
#include "kernels/score_blocks.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/score_units.h"
#include "kernels/cpu/softmax.h"
#include "kernels/cpu/table.h"

namespace minicpm::ISA {

namespace {

constexpr int kScoreGroup = 8;  // rows whose coarse numbers are in memory at once
constexpr int kSummedTiles = kWideLanes == 16 ? 8 : 4;  // whose sums are in registers

/// Tiles of 16 slots of a chunk with windows that are seen.
int tiles_of(const ScoreUnit& unit, int64_t chunk) {
  return static_cast<int>((slots_of(unit, chunk) + kLanes - 1) / kLanes);
}

/// x of one chunk. The thread goes on with `next_chunk`.
template <typename T>
void dot_chunk(const ScoreUnit& unit, int64_t chunk, int64_t next_chunk) {
  PooledKeys keys = unit.keys;
  keys.next_block = next_chunk * kChunkBlocks;
  const int64_t first = chunk * kChunkBlocks;
  if constexpr (sizeof(T) == 1) {
    dot_fine_int8(keys, first, tiles_of(unit, chunk), unit.of_chunk(chunk));
  } else {
    dot_fine<T>(keys, first, tiles_of(unit, chunk), unit.of_chunk(chunk));
  }
}

/// From x the weights of one chunk, and its part of the normalizer.
template <typename T>
void weigh_chunk(const ScoreUnit& unit, int64_t chunk) {
  const PooledKeys& keys = unit.keys;
  const int64_t low = chunk == 0 ? 1 : 0, slots = slots_of(unit, chunk);
  float* x = unit.of_chunk(chunk);
  // All maxima before the exponentials, so that no row waits for another's.
  for (int r = 0; r < keys.group; r++) {
    const float largest = largest_within(x + r * kChunkSlots, low, slots);
    unit.largest[unit.at(r, chunk)] = largest;
    unit.shares[unit.at(r, chunk)] = largest;
  }
  for (int r = 0; r < keys.group; r++) {
    const int64_t at = unit.at(r, chunk);
    unit.sums[at] = exp_within(x + r * kChunkSlots, low, slots, unit.largest[at]);
  }
  if (unit.coarse == 0) return;
  // Coarse window i ends in block i + 1.
  const int64_t left = unit.coarse + 1 - chunk * kChunkBlocks;
  const int count = static_cast<int>(left < kChunkBlocks ? left : kChunkBlocks);
  float norms[kScoreGroup * kChunkBlocks];
  for (int r = 0; r < keys.group; r++) {
    unit.largest[unit.at(r, chunk)] = -__builtin_inff();
    unit.sums[unit.at(r, chunk)] = 0;
  }
  if (count <= low) return;
  for (int row = 0; row < keys.group; row += kScoreGroup) {
    PooledKeys some = keys;
    some.group = keys.group - row < kScoreGroup ? keys.group - row : kScoreGroup;
    some.queries += row * keys.dim;
    if constexpr (sizeof(T) == 1) {
      dot_coarse_int8(some, chunk * kChunkBlocks, count, norms);
    } else {
      dot_coarse<T>(some, chunk * kChunkBlocks, count, norms);
    }
    for (int r = 0; r < some.group; r++) {
      const float largest = largest_within(norms + r * kChunkBlocks, low, count);
      unit.largest[unit.at(row + r, chunk)] = largest;
      unit.sums[unit.at(row + r, chunk)] =
          exp_within(norms + r * kChunkBlocks, low, count, largest);
    }
  }
}

/// f(vector, i) over the numbers at x, the last vector padded.
template <typename F>
inline void each_vector(const float* x, int64_t count, float padding, F f) {
  for (int64_t i = 0; i < count; i += kLanes) {
    const int n = count - i < kLanes ? static_cast<int>(count - i) : kLanes;
    float lanes[kLanes];
    for (int j = 0; j < kLanes; j++) lanes[j] = j < n ? x[i + j] : padding;
    f(load(lanes), i, n);
  }
}

/// shares[r][chunk] = e^(the chunk's largest x - the normalizer's largest) / the normalizer.
void share_chunks(const ScoreUnit& unit) {
  for (int r = 0; r < unit.keys.group; r++) {
    const float *largest = unit.largest + unit.at(r, 0), *sums = unit.sums + unit.at(r, 0);
    float* shares = unit.shares + unit.at(r, 0);
    f32x16 most = broadcast(-__builtin_inff()), total = broadcast(0);
    each_vector(largest, unit.chunks, -__builtin_inff(),
                [&](f32x16 x, int64_t, int) { most = max(most, x); });
    const f32x16 top = broadcast(ISA::largest(most));
    each_vector(largest, unit.chunks, -__builtin_inff(), [&](f32x16 x, int64_t i, int n) {
      total = fma(exp(x - top), load_first(sums + i, n), total);
    });
    const f32x16 share = broadcast(1 / sum(total)), finite = broadcast(3e38f);
    each_vector(shares, unit.chunks, -__builtin_inff(), [&](f32x16 x, int64_t i, int n) {
      const f32x16 scaled = exp(x - top) * share;
      // Not infinite: times a weight of 0 it would be no number.
      store_first(shares + i, select_less(finite, scaled, finite, scaled), n);
    });
  }
}

/// sums[16 * tile...) = what the rows weigh together at the slots of N tiles of a chunk.
template <int N>
inline void sum_weights(const ScoreUnit& unit, int64_t chunk, int tile, float* sums) {
  f32x16 totals[N];
  for (int i = 0; i < N; i++) totals[i] = broadcast(0);
  const float* weights = unit.of_chunk(chunk) + tile * kLanes;
  for (int r = 0; r < unit.keys.group; r++, weights += kChunkSlots) {
    const f32x16 share = broadcast(unit.shares[unit.at(r, chunk)]);
    for (int i = 0; i < N; i++) totals[i] = fma(load(weights + i * kLanes), share, totals[i]);
  }
  for (int i = 0; i < N; i++) store(sums + (tile + i) * kLanes, totals[i]);
}

/// The scores of one chunk's blocks that are candidates.
void score_chunk(const ScoreUnit& unit, int64_t chunk) {
  const SparseRule& rule = unit.op->rule;
  const int64_t begin = chunk * kChunkBlocks;
  const int64_t first = begin > rule.init_blocks ? begin : rule.init_blocks;
  const int64_t end = rule.candidates_end(unit.position);
  const int64_t last = begin + kChunkBlocks < end ? begin + kChunkBlocks : end;
  if (first >= last) return;
  // Of each slot, 0 where nothing is seen; a block's last window ends in the next block.
  float sums[kChunkSlots + kLanes], best[kChunkSlots];
  const int tiles = chunk < unit.chunks ? tiles_of(unit, chunk) : 0;
  on_row_tiles<kSummedTiles>(0, tiles,
                             [&]<int N>(int tile) { sum_weights<N>(unit, chunk, tile, sums); });
  for (int at = tiles * kLanes; at <= kChunkSlots; at += kLanes) store(sums + at, broadcast(0));
  if (chunk + 1 < unit.chunks) sum_weights<1>(unit, chunk + 1, 0, sums + kChunkSlots);
  for (int at = 0; at < kChunkSlots; at += kLanes) {
    f32x16 most = load(sums + at);
    for (int i = 1; i <= kBlockWindows; i++) most = max(load(sums + at + i), most);
    store(best + at, most);
  }
  float* scores = static_cast<float*>(unit.op->scores.data) + unit.row * unit.op->scores.columns;
  for (int64_t b = first; b < last; b++) scores[b] = best[(b - begin) * kBlockWindows];
}

/// Chunk by chunk instead of unit by unit, with three waits: pays where whole units would leave
/// threads without work.
bool splits(int units, const ScoreSizes& sizes, const Workers& workers) {
  return uneven(units, workers) && sizes.chunks > 1;
}

template <typename T>
void score(const ScoreBlocks& op, const Segment& segment, int first, const ScoreSizes& sizes,
           Workers& workers) {
  const int units = (segment.count - first) * op.layout.kv_heads;
  const auto unit_at = [&](int i, float* memory, int thread) {
    return unit_of(op, segment, first, i, sizes, memory,
                   static_cast<unsigned char*>(workers.scratch(thread)));
  };
  const auto shared_memory = [&](int i) {
    return static_cast<float*>(workers.shared_scratch()) + i * sizes.floats();
  };
  if (!splits(units, sizes, workers)) {
    auto whole = [&](int i, int thread) {
      float* memory = static_cast<float*>(workers.scratch(thread)) + sizes.lines();
      const ScoreUnit unit = unit_at(i, memory, thread);
      load_queries(unit, sizes, memory);
      for (int64_t c = 0; c < unit.chunks; c++) {
        dot_chunk<T>(unit, c, c + 1);
        weigh_chunk<T>(unit, c);
      }
      share_chunks(unit);
      for (int64_t c = 0; c < sizes.chunks; c++) score_chunk(unit, c);
    };
    return for_each(workers, units, whole);
  }
  const int chunks = static_cast<int>(sizes.chunks);
  for (int i = 0; i < units; i++) {
    load_queries(unit_at(i, shared_memory(i), 0), sizes, shared_memory(i));
  }
  auto weigh = [&](int item, int thread) {
    const int chunk = item / units, i = item % units;
    const ScoreUnit unit = unit_at(i, shared_memory(i), thread);
    if (chunk >= unit.chunks) return;
    dot_chunk<T>(unit, chunk, (item + workers.threads()) / units);
    weigh_chunk<T>(unit, chunk);
    unit.makers[chunk] = thread;
  };
  auto share = [&](int i, int thread) { share_chunks(unit_at(i, shared_memory(i), thread)); };
  auto score_own = [&](int its, int thread) {
    for (int i = 0; i < units; i++) {
      const ScoreUnit unit = unit_at(i, shared_memory(i), thread);
      for (int64_t c = 0; c < chunks; c++) {
        if ((c < unit.chunks ? unit.makers[c] : 0) == its) score_chunk(unit, c);
      }
    }
  };
  for_each(workers, chunks * units, weigh);
  for_each(workers, units, share);
  for_each(workers, workers.threads(), score_own);
}

}  // namespace

void score_blocks(const ScoreBlocks& op, Workers& workers) {
  const int kv_heads = op.layout.kv_heads, dim = op.layout.head_dim;
  const int group = static_cast<int>(op.q.columns) / dim / kv_heads;
  const int64_t blocks = op.scores.columns + op.rule.near();
  const ScoreSizes sizes{group, dim, blocks / kChunkBlocks + 1};
  for (size_t s = 0; s < op.segments.size(); s++) {
    const Segment& segment = op.segments[s];
    int first = 0;  // rows from here on do not attend to all
    while (first < segment.count && op.rule.attends_all(segment.position + first)) first++;
    if (first == segment.count) continue;
    const int units = (segment.count - first) * kv_heads;
    const bool shared = splits(units, sizes, workers);
    workers.reserve(static_cast<size_t>(sizes.lines() + sizes.floats()) * sizeof(float),
                    static_cast<size_t>(shared ? units * sizes.floats() : 0) * sizeof(float));
    if (op.layout.dtype == DType::f32) {
      score<float>(op, segment, first, sizes, workers);
    } else if (op.layout.dtype == DType::i8) {
      score<uint8_t>(op, segment, first, sizes, workers);
    } else {
      score<F16>(op, segment, first, sizes, workers);
    }
  }
}

}  // namespace minicpm::ISA
