// Log-probabilities of given tokens, on CUDA. One block per token: the largest logit, then the sum.
// Memory bound: the floor is tokens * vocabulary * 4 bytes / bandwidth; the second read comes from
// the caches.
#include "kernels/log_prob.h"

#include "kernels/cuda/ops.h"
#include "kernels/cuda/reduce.cuh"
#include "kernels/log_exp.h"

namespace minicpm::cuda {

namespace {

constexpr int kLogProbThreads = 256;

// grid: [tokens], threads: [kLogProbThreads]
__global__ void log_prob_kernel(float* y, const float* logits, const int32_t* targets,
                                int64_t vocabulary) {
  const float* row = logits + blockIdx.x * vocabulary;
  float largest = -INFINITY;
  for (int64_t i = threadIdx.x; i < vocabulary; i += kLogProbThreads) {
    largest = Larger()(largest, row[i]);
  }
  const float best = block_reduce<kLogProbThreads>(largest, Larger());
  double sum = 0;
  for (int64_t i = threadIdx.x; i < vocabulary; i += kLogProbThreads) sum += expf(row[i] - best);
  sum = block_reduce<kLogProbThreads>(sum, Plus());
  if (threadIdx.x == 0) {
    const double above = double{row[targets[blockIdx.x]]} - best;
    y[blockIdx.x] = static_cast<float>(above - natural_log(sum));
  }
}

}  // namespace

void log_prob(const LogProb& op, Stream stream) {
  if (op.logits.rows == 0) return;
  launch({{static_cast<unsigned>(op.logits.rows)}, {kLogProbThreads}, 0, stream}, log_prob_kernel,
         op.y.as<float>(), op.logits.as<float>(), op.targets.as<int32_t>(), op.logits.columns);
}

}  // namespace minicpm::cuda
