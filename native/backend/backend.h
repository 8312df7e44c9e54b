// A backend has memory and runs ops on it. The forward pass is written once, against this class.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
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
#include "kernels/refine.h"
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

/// What the ops that follow have in common.
struct Step {
  std::span<const Segment> segments;  // of every op that has some; they stay as they are
  int64_t rows;                       // that the segments lie within
  int64_t capacity;                   // tokens: no position of any step so far reaches it
};

/// Ops run in the order in which they are started, each on what the ones before have left, and may
/// still be running when the call returns. Their structs are copied, and all tensors are in
/// `memory()`. Lists of a Sample and where its results go are the host's, and so are segments:
/// the lists may change once the call has returned, results are there after the next
/// `synchronize()`.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string_view name() const = 0;  // "cpu", "reference" or "cuda"
  virtual std::string_view isa() const = 0;   // instruction set in use
  virtual int threads() const = 0;            // of the host, that compute

  /// Where tensors and KV blocks have to be; lives as long as the backend.
  virtual Memory& memory() = 0;

  /// Before the first op of a step: from here on ops have these segments, or some of their rows
  /// where memory is the host's.
  virtual void begin(const Step& step) = 0;

  // The forward pass.
  virtual void run(const Embed&) = 0;
  virtual void run(const RmsNorm&) = 0;
  virtual void run(const Linear&) = 0;
  virtual void run(const Linears&) = 0;
  virtual void run(const QuantizeRows&) = 0;
  virtual void run(const ReorderColumns&) = 0;
  virtual void run(const Rope&) = 0;
  virtual void run(const KvAppend&) = 0;
  virtual void run(const PoolKeys&) = 0;
  virtual void run(const ScoreBlocks&) = 0;
  virtual void run(const SelectBlocks&) = 0;
  virtual void run(const Attention&) = 0;
  virtual void run(const SiluMul&) = 0;
  virtual void run(const LogProb&) = 0;
  virtual void run(const Sample&) = 0;

  // Loading and quantizing: of backends whose memory is the host's.
  virtual void run(const Pack&) = 0;
  virtual void run(const Repack&) = 0;
  virtual void run(const RepackArrays&) = 0;
  virtual void run(const PackTernary&) = 0;
  virtual void run(const Gram&) = 0;
  virtual void run(const Feedback&) = 0;
  virtual void run(const PackFeedback&) = 0;
  virtual void run(const Refine&) = 0;
};

/// Plain loops: every op as its definition, one thread.
std::unique_ptr<Backend> make_reference_backend();

/// SIMD kernels on `threads` threads, for the best instruction set of this machine or the one `isa`
/// names (empty: best). Throws Error{kDevice}.
std::unique_ptr<Backend> make_cpu_backend(int threads, std::string_view isa);

}  // namespace minicpm
