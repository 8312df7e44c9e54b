// Scores of the blocks that compete for a query's attention, on CUDA. One block of threads per row
// and KV head reads the pooled keys twice: for each query head's maximum and sum, then for the
// weights.
// Memory bound: the floor is rows * kv_heads * position / 16 * head_dim stored numbers / bandwidth;
// the second time they come from the caches.
#include "kernels/score_blocks.h"

#include "kernels/cuda/kv_numbers.cuh"
#include "kernels/cuda/ops.h"

namespace minicpm::cuda {

namespace {

constexpr int kScoreWarps = 4;
constexpr int kScoreThreads = kScoreWarps * kWarp;

struct ScoreRows {
  float* scores;
  int64_t columns;  // of scores
  const float* q;
  int group;  // query heads of a KV head
  float scale;
  const BatchRow* rows;
  KvLayout layout;
  int layer;
  SparseRule rule;
};

/// query . one pooled key: the fine one in `slot`, counted through the blocks (window j is in slot
/// j + 1), or the coarse one that ends in block `slot`.
template <typename T, bool kCoarse>
DEVICE float pooled_dot(const ScoreRows& op, std::byte* const* blocks, int head, const float* query,
                        int64_t slot) {
  const KvLayout& layout = op.layout;
  const int64_t block = kCoarse ? slot : slot / kBlockWindows;
  const int window = kCoarse ? kCoarseWindow : static_cast<int>(slot % kBlockWindows);
  const auto pooled = KvHead<T>::pooled(layout, blocks[block], op.layer, head, window);
  float dot = 0;
  for (int d = 0; d < layout.head_dim; d++) {
    dot = fmaf(query[d], pooled.at(layout.pooled_index(window, d), 0), dot);
  }
  return dot;
}

/// A softmax's maximum, and its sum relative to that.
struct Normalizer {
  float best, sum;
};

/// Over the pooled keys in slots [1, end).
template <typename T, bool kCoarse>
DEVICE Normalizer normalizer_of(const ScoreRows& op, std::byte* const* blocks, int head,
                                const float* query, int64_t end) {
  float best = -INFINITY;
  for (int64_t slot = 1 + threadIdx.x; slot < end; slot += kScoreThreads) {
    best = Larger()(best, pooled_dot<T, kCoarse>(op, blocks, head, query, slot));
  }
  best = block_reduce<kScoreThreads>(best, Larger());
  float sum = 0;
  for (int64_t slot = 1 + threadIdx.x; slot < end; slot += kScoreThreads) {
    sum += expf(pooled_dot<T, kCoarse>(op, blocks, head, query, slot) - best);
  }
  return {best, block_reduce<kScoreThreads>(sum, Plus())};
}

// grid: [rows, kv_heads], threads: [kScoreThreads], dynamic shared memory: the queries, and a
// Normalizer for each.
template <typename T>
__global__ void score_blocks_kernel(ScoreRows op) {
  DYNAMIC_SHARED(bytes);
  const int dim = op.layout.head_dim, head = static_cast<int>(blockIdx.y);
  auto* queries = reinterpret_cast<float*>(bytes);
  auto* normalizers = reinterpret_cast<Normalizer*>(queries + op.group * dim);
  const BatchRow row = op.rows[blockIdx.x];
  if (row.position < 0 || op.rule.attends_all(row.position)) return;
  const int64_t mask_row = int64_t{blockIdx.x} * gridDim.y + blockIdx.y;
  load_queries<T, kScoreWarps>(queries, op.q + mask_row * op.group * dim, op.group, dim, op.scale);
  __syncthreads();

  const int64_t fine = fine_windows(row.position) + 1;  // slots in use, the first of them empty
  const int64_t coarse = op.rule.coarse ? coarse_windows(row.position) : 0;
  for (int a = 0; a < op.group; a++) {
    const float* query = queries + a * dim;
    const Normalizer normalizer =
        coarse > 0 ? normalizer_of<T, true>(op, row.blocks, head, query, coarse + 1)
                   : normalizer_of<T, false>(op, row.blocks, head, query, fine);
    if (threadIdx.x == 0) normalizers[a] = normalizer;
  }
  __syncthreads();

  for (int64_t b = op.rule.init_blocks + threadIdx.x; b < op.rule.candidates_end(row.position);
       b += kScoreThreads) {
    float best = -INFINITY;
    for (int64_t slot = b * kBlockWindows; slot <= (b + 1) * kBlockWindows && slot < fine; slot++) {
      if (slot == 0) continue;
      float weight = 0;
      for (int a = 0; a < op.group; a++) {
        const float dot = pooled_dot<T, false>(op, row.blocks, head, queries + a * dim, slot);
        weight += expf(dot - normalizers[a].best) / normalizers[a].sum;
      }
      best = Larger()(best, weight);
    }
    op.scores[mask_row * op.columns + b] = best;
  }
}

}  // namespace

void score_blocks(const ScoreBlocks& op, const Batch& batch, Stream stream) {
  if (batch.count == 0) return;
  const int heads = static_cast<int>(op.q.columns) / op.layout.head_dim;
  const int group = heads / op.layout.kv_heads;
  const size_t shared = static_cast<size_t>(group * op.layout.head_dim) * sizeof(float) +
                        static_cast<size_t>(group) * sizeof(Normalizer);
  const Launch shape{
      {static_cast<unsigned>(batch.count), static_cast<unsigned>(op.layout.kv_heads)},
      {kScoreThreads},
      shared,
      stream};
  with_kv_type(op.layout, [&](auto number) {
    launch(shape, score_blocks_kernel<decltype(number)>,
           ScoreRows{op.scores.as<float>(), op.scores.columns, op.q.as<float>(), group, op.scale,
                     batch.rows, op.layout, op.layer, op.rule});
  });
}

}  // namespace minicpm::cuda
