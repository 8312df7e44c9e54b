// The blocks that each row attends to, on CUDA. One block of threads per row and KV head; a
// candidate is chosen by counting the better ones.
// Compute bound: candidates^2 comparisons a row, from shared memory. (512 candidates, 32 k tokens:
// 1,024 a thread.)
#include "kernels/select_blocks.h"

#include "kernels/cuda/ops.h"
#include "kernels/cuda/port.h"

namespace minicpm::cuda {

namespace {

constexpr int kSelectThreads = 256;
constexpr size_t kMostSelectShared = 99 << 10;

struct SelectRows {
  BlockMasks masks;
  const float* scores;
  int64_t columns;  // of scores
  const BatchRow* rows;
  SparseRule rule;
};

// grid: [rows, kv_heads], threads: [kSelectThreads], dynamic shared memory: 5 bytes a column.
__global__ void select_blocks_kernel(SelectRows op) {
  DYNAMIC_SHARED(bytes);
  auto* scores = reinterpret_cast<float*>(bytes);
  auto* chosen = bytes + op.columns * static_cast<int64_t>(sizeof(float));
  const int64_t position = op.rows[blockIdx.x].position;
  if (position < 0) return;
  const int64_t row = int64_t{blockIdx.x} * gridDim.y + blockIdx.y;
  const int64_t blocks = position / kBlockTokens + 1;
  const bool all = op.rule.attends_all(position);
  const int64_t first = op.rule.init_blocks, end = op.rule.candidates_end(position);

  for (int64_t b = first + threadIdx.x; !all && b < end; b += kSelectThreads) {
    scores[b] = op.scores[row * op.columns + b];
  }
  __syncthreads();
  for (int64_t b = first + threadIdx.x; !all && b < end; b += kSelectThreads) {
    int better = 0;
    for (int64_t other = first; other < end; other++) {
      better += scores[other] > scores[b] || (scores[other] == scores[b] && other < b);
    }
    chosen[b] = better < op.rule.chosen();
  }
  __syncthreads();
  for (int64_t word = threadIdx.x; word < op.masks.stride; word += kSelectThreads) {
    uint64_t bits = 0;
    for (int64_t b = word * 64; b < word * 64 + 64 && b < blocks; b++) {
      const bool competes = !all && b >= first && b < end;
      if (!competes || chosen[b]) bits |= uint64_t{1} << (b % 64);
    }
    op.masks.words[row * op.masks.stride + word] = bits;
  }
}

}  // namespace

void select_blocks(const SelectBlocks& op, const Batch& batch, Stream stream) {
  if (batch.count == 0) return;
  const size_t shared = static_cast<size_t>(op.scores.columns) * (sizeof(float) + 1);
  expect("select_blocks", shared <= kMostSelectShared,
         "on CUDA a sequence should have at most 20,275 blocks (1.2 million tokens)");
  launch({{static_cast<unsigned>(batch.count), static_cast<unsigned>(op.kv_heads)},
          {kSelectThreads},
          shared,
          stream},
         select_blocks_kernel,
         SelectRows{op.masks, op.scores.as<float>(), op.scores.columns, batch.rows, op.rule});
}

}  // namespace minicpm::cuda
