// The CPU kernels of one instruction set, and the list of them, best first.
#pragma once

#include <span>

#include "kernels/attention.h"
#include "kernels/cpu/workers.h"
#include "kernels/embed.h"
#include "kernels/feedback.h"
#include "kernels/gram.h"
#include "kernels/kv_append.h"
#include "kernels/linear.h"
#include "kernels/log_prob.h"
#include "kernels/pack.h"
#include "kernels/pack_feedback.h"
#include "kernels/pool_keys.h"
#include "kernels/quantize_rows.h"
#include "kernels/refine.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/score_blocks.h"
#include "kernels/silu_mul.h"

namespace minicpm {

struct CpuKernels {
  const char* isa;  // "baseline", "avx2", "avxvnni", "avx512"
  bool (*supported)();

  void (*embed)(const Embed&, Workers&);
  void (*rms_norm)(const RmsNorm&, Workers&);
  void (*linear)(const Linear&, Workers&);
  void (*linears)(const Linears&, Workers&);
  void (*quantize_rows)(const QuantizeRows&, Workers&);
  void (*pack)(const Pack&, Workers&);
  void (*gram)(const Gram&, Workers&);
  void (*feedback)(const Feedback&, Workers&);
  void (*pack_feedback)(const PackFeedback&, Workers&);
  void (*refine)(const Refine&, Workers&);
  void (*rope)(const Rope&, Workers&);
  void (*kv_append)(const KvAppend&, Workers&);
  void (*pool_keys)(const PoolKeys&, Workers&);
  void (*score_blocks)(const ScoreBlocks&, Workers&);
  void (*attention)(const Attention&, Workers&);
  void (*silu_mul)(const SiluMul&, Workers&);
  void (*log_prob)(const LogProb&, Workers&);
};

/// Every set compiled in, best first.
std::span<const CpuKernels* const> cpu_kernel_sets();

/// The best set this machine can run, or the one named by `forced` (MINICPM_CPU); throws
/// Error{kDevice}, listing the names, where that one is unknown or can't run here.
const CpuKernels& select_cpu_kernels(const char* forced);

}  // namespace minicpm

#ifdef ISA
// What each kernel file of one set defines, and the set itself (table.cpp).
namespace minicpm::ISA {

void embed(const Embed& op, Workers& workers);
void rms_norm(const RmsNorm& op, Workers& workers);
void linear(const Linear& op, Workers& workers);
void linears(const Linears& op, Workers& workers);
void quantize_rows(const QuantizeRows& op, Workers& workers);
void pack(const Pack& op, Workers& workers);
void gram(const Gram& op, Workers& workers);
void feedback(const Feedback& op, Workers& workers);
void pack_feedback(const PackFeedback& op, Workers& workers);
void refine(const Refine& op, Workers& workers);
void rope(const Rope& op, Workers& workers);
void kv_append(const KvAppend& op, Workers& workers);
void pool_keys(const PoolKeys& op, Workers& workers);
void score_blocks(const ScoreBlocks& op, Workers& workers);
void attention(const Attention& op, Workers& workers);
void silu_mul(const SiluMul& op, Workers& workers);
void log_prob(const LogProb& op, Workers& workers);

extern const CpuKernels kernels;

}  // namespace minicpm::ISA
#endif
