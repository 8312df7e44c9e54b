// Attention over KV blocks on CUDA: decode and prefill, dense and sparse, by one routine, so that a
// row has the same bits in each. A block of threads takes a tile of queries that share a KV head,
// and 8 KV blocks of 64 keys; it goes through them with an online softmax. Keys and values come
// through shared memory, so that each is read once, 16 bytes at a time. A second kernel puts the
// parts of a query together, in order. Which keys are a part's depends on their positions alone.
// Decode is memory bound: the floor is rows * kv_heads * position * 2 * head_dim stored numbers /
// bandwidth. Prefill is compute bound: 4 * heads * head_dim * keys FLOPs a row, here without tensor
// cores.
#include "kernels/attention.h"

#include <algorithm>

#include "kernels/cuda/kv_numbers.cuh"
#include "kernels/cuda/ops.h"

namespace minicpm::cuda {

namespace {

constexpr int kAttentionWarps = 4;
constexpr int kAttentionThreads = kAttentionWarps * kWarp;
constexpr int kTileQueries = 16;
constexpr int kPartBlocks = 8;
constexpr int kMostHeadDim = 512;
constexpr int kStageBytes = 16 << 10;  // of keys or values in shared memory
constexpr int64_t kMostScratch = int64_t{16}
                                 << 20;  // floats; rows beyond it wait for a next launch

/// A part of a query's attention: maximum, sum, and the values' sum behind them.
constexpr int kPartHead = 2;

struct AttentionRows {
  float* y;
  const float* q;
  float* parts;  // [rows][heads][splits][kPartHead + head_dim], of rows from `first` on
  const BatchRow* rows;
  int first, count;  // rows of this launch
  int heads, group, tile_rows, splits;
  KvLayout layout;
  int layer;
  float scale;
  BlockMasks selected;

  DEVICE float* part(int row, int head, int split) const {
    const int64_t at = (int64_t{row - first} * heads + head) * splits + split;
    return parts + at * (kPartHead + layout.head_dim);
  }
  /// Row `row` attends to keys of the block.
  DEVICE bool attends(int row, int kv_head, int64_t block) const {
    const int64_t mask_row = int64_t{row} * layout.kv_heads + kv_head;
    return block * kBlockTokens <= rows[row].position &&
           (selected.words == nullptr || selected.has(mask_row, block));
  }
};

/// Shared memory of a tile of queries.
struct AttentionTile {
  float* queries;  // [kTileQueries][dim]
  float* sums;     // [kTileQueries][dim], of values
  float* weights;  // [kTileQueries][kBlockTokens]: scores, then weights
  float* best;     // [kTileQueries]
  float* total;
  float* rescale;        // what this block's maximum makes of sums until now
  float* scales;         // [kBlockTokens], of int8 keys or values
  unsigned char* stage;  // [kStageBytes]: some dimensions of a block's keys, or some of its values

  DEVICE AttentionTile(unsigned char* bytes, int dim)
      : queries(reinterpret_cast<float*>(bytes)),
        sums(queries + kTileQueries * dim),
        weights(sums + kTileQueries * dim),
        best(weights + kTileQueries * kBlockTokens),
        total(best + kTileQueries),
        rescale(total + kTileQueries),
        scales(rescale + kTileQueries),
        stage(reinterpret_cast<unsigned char*>(scales + kBlockTokens)) {}

  static size_t bytes(int dim) {
    const int floats = kTileQueries * (2 * dim + kBlockTokens + 3) + kBlockTokens;
    return sizeof(float) * static_cast<size_t>(floats) + kStageBytes;
  }
};

/// Queries [first, end) of the tile: rows of one sequence.
struct QueryRun {
  int first, end, first_row;
  std::byte* const* blocks;
};

/// Copies bytes, a multiple of 16, by all threads; the caller synchronizes.
DEVICE void stage_bytes(void* to, const void* from, int bytes) {
  constexpr int kVector = sizeof(Vector);
  for (int at = static_cast<int>(threadIdx.x) * kVector; at < bytes;
       at += kAttentionThreads * kVector) {
    store_vector(static_cast<unsigned char*>(to) + at,
                 load_vector(static_cast<const unsigned char*>(from) + at));
  }
}

/// The scales of a block's keys or values, where they have some.
template <typename T>
DEVICE void stage_scales(const Stored<T>&, float*) {}
template <typename T, int kZero>
DEVICE void stage_scales(const StoredInt8<T, kZero>& numbers, float* to) {
  stage_bytes(to, numbers.scales, kBlockTokens * static_cast<int>(sizeof(float)));
}

/// Scores of the run's queries with the keys of a block, minus infinity where a query does not see
/// the key. A thread has one key and every other query.
template <typename T>
DEVICE void score_keys(const AttentionRows& op, const AttentionTile& tile, const QueryRun& run,
                       int kv_head, int64_t block) {
  constexpr int kStride = kAttentionThreads / kBlockTokens, kMost = kTileQueries / kStride;
  constexpr int kMostDims = kStageBytes / kBlockTokens / static_cast<int>(sizeof(T));
  const int dim = op.layout.head_dim;
  const int slot = static_cast<int>(threadIdx.x) % kBlockTokens;
  const int first = run.first + static_cast<int>(threadIdx.x) / kBlockTokens;
  const auto keys = KvHead<T>::keys(op.layout, run.blocks[block], op.layer, kv_head);
  const auto staged = keys.moved_to(tile.stage, tile.scales);
  stage_scales(keys, tile.scales);
  float dots[kMost] = {};
  for (int from = 0; from < dim; from += kMostDims) {
    KvLayout part = op.layout;  // of the dimensions that are staged
    part.head_dim = dim - from < kMostDims ? dim - from : kMostDims;
    const int bytes = part.head_dim * kTileKeys * static_cast<int>(sizeof(T));
    for (int first_key = 0; first_key < kBlockTokens; first_key += kTileKeys) {
      stage_bytes(tile.stage + first_key / kTileKeys * bytes,
                  keys.numbers + op.layout.k_index(first_key, from), bytes);
    }
    __syncthreads();
    for (int d = 0; d < part.head_dim; d++) {
      const float key = staged.at(part.k_index(slot, d), slot);
      UNROLL
      for (int i = 0; i < kMost; i++) {
        const int u = first + i * kStride;
        if (u < run.end) dots[i] = fmaf(tile.queries[u * dim + from + d], key, dots[i]);
      }
    }
    __syncthreads();
  }
  UNROLL
  for (int i = 0; i < kMost; i++) {
    const int u = first + i * kStride;
    if (u >= run.end) break;
    const int row = run.first_row + (u - run.first) / op.group;
    const bool seen =
        block * kBlockTokens + slot <= op.rows[row].position && op.attends(row, kv_head, block);
    tile.weights[u * kBlockTokens + slot] = seen ? dots[i] : -INFINITY;
  }
}

/// Scores become weights; a warp has every fourth query of the run, a lane two keys.
DEVICE void weigh(const AttentionTile& tile, const QueryRun& run) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int u = run.first + static_cast<int>(threadIdx.x) / kWarp; u < run.end;
       u += kAttentionWarps) {
    float* weights = tile.weights + u * kBlockTokens;
    const float a = weights[lane], b = weights[lane + kWarp], before = tile.best[u];
    const float best = Larger()(before, warp_reduce(Larger()(a, b), Larger()));
    const bool any = best > -INFINITY;
    const float rescale = any ? expf(before - best) : 1;
    const float weight_a = any ? expf(a - best) : 0, weight_b = any ? expf(b - best) : 0;
    const float sum = warp_reduce(weight_a + weight_b, Plus());
    weights[lane] = weight_a;
    weights[lane + kWarp] = weight_b;
    __syncwarp();  // all lanes have read tile.best
    if (lane == 0) {
      tile.best[u] = best;
      tile.rescale[u] = rescale;
      tile.total[u] = fmaf(tile.total[u], rescale, sum);
    }
  }
}

/// Adds the block's weighted values. A thread has one dimension of all queries of the run.
template <typename T>
DEVICE void add_values(const AttentionRows& op, const AttentionTile& tile, const QueryRun& run,
                       int kv_head, int64_t block) {
  const int dim = op.layout.head_dim, row_bytes = dim * static_cast<int>(sizeof(T));
  // By eights, so that what is staged starts at a multiple of 16.
  const int most =
      kStageBytes / row_bytes < kBlockTokens ? kStageBytes / row_bytes / 8 * 8 : kBlockTokens;
  const auto values = KvHead<T>::values(op.layout, run.blocks[block], op.layer, kv_head);
  const auto staged = values.moved_to(tile.stage, tile.scales);
  stage_scales(values, tile.scales);
  for (int from = 0; from < kBlockTokens; from += most) {
    const int count = kBlockTokens - from < most ? kBlockTokens - from : most;
    stage_bytes(tile.stage, values.numbers + op.layout.v_index(from, 0), count * row_bytes);
    __syncthreads();
    for (int d = static_cast<int>(threadIdx.x); d < dim; d += kAttentionThreads) {
      float added[kTileQueries] = {};
      for (int slot = 0; slot < count; slot++) {
        const float value = staged.at(op.layout.v_index(slot, d), from + slot);
        UNROLL
        for (int i = 0; i < kTileQueries; i++) {
          const int u = run.first + i;
          const int weight = u * kBlockTokens + from + slot;
          if (u < run.end) added[i] = fmaf(tile.weights[weight], value, added[i]);
        }
      }
      UNROLL
      for (int i = 0; i < kTileQueries; i++) {
        const int u = run.first + i;
        if (u >= run.end) break;
        const float rescale = from == 0 ? tile.rescale[u] : 1;
        tile.sums[u * dim + d] = fmaf(tile.sums[u * dim + d], rescale, added[i]);
      }
    }
    __syncthreads();
  }
}

// grid: [row tiles, kv_heads, splits], threads: [kAttentionThreads], dynamic shared memory:
// AttentionTile::bytes
template <typename T>
__global__ void attention_parts_kernel(AttentionRows op) {
  DYNAMIC_SHARED(bytes);
  const int dim = op.layout.head_dim, kv_head = static_cast<int>(blockIdx.y);
  const int split = static_cast<int>(blockIdx.z);
  const AttentionTile tile(bytes, dim);
  const int first_row = op.first + static_cast<int>(blockIdx.x) * op.tile_rows;
  const int end_row = op.first + op.count < first_row + op.tile_rows ? op.first + op.count
                                                                     : first_row + op.tile_rows;
  bool wanted = false;
  for (int row = first_row; row < end_row; row++) {
    wanted |= int64_t{split} * kPartBlocks * kBlockTokens <= op.rows[row].position;
  }
  if (!wanted) return;  // the whole block: nobody reads these parts
  for (int row = first_row; row < end_row; row++) {
    const int64_t from = (int64_t{row} * op.layout.kv_heads + kv_head) * op.group * dim;
    load_queries<T, kAttentionWarps>(tile.queries + (row - first_row) * op.group * dim, op.q + from,
                                     op.group, dim, op.scale);
  }
  for (int i = static_cast<int>(threadIdx.x); i < kTileQueries * dim; i += kAttentionThreads) {
    tile.sums[i] = 0;
  }
  if (threadIdx.x < kTileQueries) {
    tile.best[threadIdx.x] = -INFINITY;
    tile.total[threadIdx.x] = 0;
  }
  __syncthreads();

  for (int row = first_row, next = row; row < end_row; row = next) {
    QueryRun run{(row - first_row) * op.group, 0, row, op.rows[row].blocks};
    while (next < end_row && op.rows[next].blocks == run.blocks) next++;
    run.end = (next - first_row) * op.group;
    for (int64_t block = int64_t{split} * kPartBlocks; block < (split + 1) * kPartBlocks; block++) {
      bool any = false;
      for (int r = row; r < next; r++) any |= op.attends(r, kv_head, block);
      if (!any) continue;
      score_keys<T>(op, tile, run, kv_head, block);
      __syncthreads();
      weigh(tile, run);
      __syncthreads();
      add_values<T>(op, tile, run, kv_head, block);
    }
  }

  for (int u = 0; u < (end_row - first_row) * op.group; u++) {
    float* part = op.part(first_row + u / op.group, kv_head * op.group + u % op.group, split);
    for (int d = static_cast<int>(threadIdx.x); d < dim; d += kAttentionThreads) {
      part[kPartHead + d] = tile.sums[u * dim + d];
    }
    if (threadIdx.x == 0) {
      part[0] = tile.best[u];
      part[1] = tile.total[u];
    }
  }
}

// grid: [rows, heads], threads: [kAttentionThreads]
__global__ void attention_merge_kernel(AttentionRows op) {
  const int row = op.first + static_cast<int>(blockIdx.x), head = static_cast<int>(blockIdx.y);
  const int64_t position = op.rows[row].position;
  if (position < 0) return;
  const int dim = op.layout.head_dim;
  for (int d = static_cast<int>(threadIdx.x); d < dim; d += kAttentionThreads) {
    float best = -INFINITY, total = 0, sum = 0;
    for (int split = 0; int64_t{split} * kPartBlocks * kBlockTokens <= position; split++) {
      const float* part = op.part(row, head, split);
      if (part[1] == 0) continue;  // no key of it is attended to
      const float larger = Larger()(best, part[0]);
      const float old = expf(best - larger), now = expf(part[0] - larger);
      total = fmaf(total, old, part[1] * now);
      sum = fmaf(sum, old, part[kPartHead + d] * now);
      best = larger;
    }
    op.y[(int64_t{row} * op.heads + head) * dim + d] = sum / total;
  }
}

int splits_for(int64_t capacity) {
  const int64_t keys = kPartBlocks * kBlockTokens;
  return static_cast<int>((capacity + keys - 1) / keys);
}

/// Floats of a row's parts.
int64_t row_scratch(const Attention& op, int64_t capacity) {
  return op.q.columns / op.layout.head_dim * splits_for(capacity) *
         (kPartHead + op.layout.head_dim);
}

int64_t rows_at_once(const Attention& op, int64_t capacity) {
  return std::clamp<int64_t>(kMostScratch / row_scratch(op, capacity), 1, op.q.rows);
}

}  // namespace

size_t attention_scratch(const Attention& op, int64_t capacity) {
  return static_cast<size_t>(rows_at_once(op, capacity) * row_scratch(op, capacity));
}

void attention(const Attention& op, const Batch& batch, int64_t capacity, float* scratch,
               Stream stream) {
  if (batch.count == 0) return;
  const int heads = static_cast<int>(op.q.columns) / op.layout.head_dim;
  const int group = heads / op.layout.kv_heads;
  expect("attention", group <= kTileQueries,
         "on CUDA a KV head should have at most 16 query heads");
  expect("attention", op.layout.head_dim <= kMostHeadDim, "on CUDA head_dim should be at most 512");
  const int tile_rows = kTileQueries / group, splits = splits_for(capacity);
  const auto chunk = static_cast<int>(rows_at_once(op, capacity));
  for (int first = 0; first < batch.count; first += chunk) {
    const int count = std::min(chunk, batch.count - first);
    const AttentionRows rows{op.y.as<float>(),
                             op.q.as<float>(),
                             scratch,
                             batch.rows,
                             first,
                             count,
                             heads,
                             group,
                             tile_rows,
                             splits,
                             op.layout,
                             op.layer,
                             op.scale,
                             op.selected};
    const dim3 grid{static_cast<unsigned>((count + tile_rows - 1) / tile_rows),
                    static_cast<unsigned>(op.layout.kv_heads), static_cast<unsigned>(splits)};
    with_kv_type(op.layout, [&](auto number) {
      launch({grid, {kAttentionThreads}, AttentionTile::bytes(op.layout.head_dim), stream},
             attention_parts_kernel<decltype(number)>, rows);
    });
    launch({{static_cast<unsigned>(count), static_cast<unsigned>(heads)},
            {kAttentionThreads},
            0,
            stream},
           attention_merge_kernel, rows);
  }
}

}  // namespace minicpm::cuda
