// The launchers: every op's struct as elsewhere, its data in device memory. They queue the work on
// `stream` and return. Structs are checked by the caller; what CUDA's kernels cannot do in addition
// throws Error{kShape}. Ops that read or write KV blocks find the rows' places in `batch`, which
// tells the same as their segments.
#pragma once

#include "kernels/attention.h"
#include "kernels/cuda/batch.h"
#include "kernels/embed.h"
#include "kernels/kv_append.h"
#include "kernels/linear.h"
#include "kernels/log_prob.h"
#include "kernels/pool_keys.h"
#include "kernels/quantize_rows.h"
#include "kernels/reorder.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/sample.h"
#include "kernels/score_blocks.h"
#include "kernels/select_blocks.h"
#include "kernels/silu_mul.h"

namespace minicpm::cuda {

/// A cudaStream_t.
using Stream = void*;

void embed(const Embed& op, Stream stream);
void rms_norm(const RmsNorm& op, Stream stream);
void rope(const Rope& op, Stream stream);
void silu_mul(const SiluMul& op, Stream stream);
void linear(const Linear& op, Stream stream);
void quantize_rows(const QuantizeRows& op, Stream stream);
void reorder(const ReorderColumns& op, Stream stream);
void log_prob(const LogProb& op, Stream stream);
void kv_append(const KvAppend& op, const Batch& batch, Stream stream);
void pool_keys(const PoolKeys& op, const Batch& batch, Stream stream);
void score_blocks(const ScoreBlocks& op, const Batch& batch, Stream stream);
void select_blocks(const SelectBlocks& op, const Batch& batch, Stream stream);

/// Parts of attention wait in `scratch`, device memory of attention_scratch() floats. `capacity`:
/// no row's position reaches it.
void attention(const Attention& op, const Batch& batch, int64_t capacity, float* scratch,
               Stream stream);
size_t attention_scratch(const Attention& op, int64_t capacity);

/// Device memory that Sample works in: sample_scratch() bytes, at a multiple of 16.
void sample(const Sample& op, void* scratch, Stream stream);
size_t sample_scratch(int64_t vocabulary);

}  // namespace minicpm::cuda
