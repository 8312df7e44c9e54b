// A backend owns memory and runs ops. The forward pass is written once, against this class.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "kernels/attention.h"
#include "kernels/embed.h"
#include "kernels/feedback.h"
#include "kernels/gram.h"
#include "kernels/kv_append.h"
#include "kernels/linear.h"
#include "kernels/log_prob.h"
#include "kernels/pack.h"
#include "kernels/pack_feedback.h"
#include "kernels/pool_keys.h"
#include "kernels/quant_arrays.h"
#include "kernels/quantize_rows.h"
#include "kernels/reorder.h"
#include "kernels/repack.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/sample.h"
#include "kernels/score_blocks.h"
#include "kernels/select_blocks.h"
#include "kernels/silu_mul.h"
#include "kernels/ternary.h"
#include "native/backend/buffer.h"

namespace minicpm {

class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string_view name() const = 0;  // "cpu" or "reference"
  virtual std::string_view isa() const = 0;   // instruction set in use
  virtual int threads() const = 0;

  /// Zeroed memory for tensors; throws Error{kOutOfMemory}.
  virtual Buffer allocate(size_t bytes) = 0;

  virtual void run(const Embed&) = 0;
  virtual void run(const RmsNorm&) = 0;
  virtual void run(const Linear&) = 0;
  virtual void run(const Linears&) = 0;
  virtual void run(const QuantizeRows&) = 0;
  virtual void run(const Pack&) = 0;
  virtual void run(const Repack&) = 0;
  virtual void run(const RepackArrays&) = 0;
  virtual void run(const PackTernary&) = 0;
  virtual void run(const ReorderColumns&) = 0;
  virtual void run(const Gram&) = 0;
  virtual void run(const Feedback&) = 0;
  virtual void run(const PackFeedback&) = 0;
  virtual void run(const Rope&) = 0;
  virtual void run(const KvAppend&) = 0;
  virtual void run(const PoolKeys&) = 0;
  virtual void run(const ScoreBlocks&) = 0;
  virtual void run(const SelectBlocks&) = 0;
  virtual void run(const Attention&) = 0;
  virtual void run(const SiluMul&) = 0;
  virtual void run(const LogProb&) = 0;
  virtual void run(const Sample&) = 0;
};

/// Plain loops: every op as its definition, one thread.
std::unique_ptr<Backend> make_reference_backend();

/// SIMD kernels on `threads` threads, for the best instruction set of this machine or the one `isa`
/// names (empty: best). Throws Error{kDevice}.
std::unique_ptr<Backend> make_cpu_backend(int threads, std::string_view isa);

}  // namespace minicpm
