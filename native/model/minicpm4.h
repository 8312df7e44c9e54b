// MiniCPM4's forward pass: Llama with muP scales, and InfLLM v2's block-sparse attention where the
// config has it (MiniCPM4 report, arXiv:2506.07900). With qk-norm weights it is Qwen3's
// (arXiv:2505.09388) too.
#pragma once

#include <atomic>
#include <functional>
#include <initializer_list>
#include <span>
#include <vector>

#include "native/backend/backend.h"
#include "native/model/attention_parts.h"
#include "native/model/config.h"
#include "native/model/op_profile.h"
#include "native/model/rope_angles.h"
#include "native/weights/weights.h"

namespace minicpm {

/// What one run of the model works on: the rows of all segments in order.
struct Batch {
  std::span<const int32_t> tokens;            // [rows]
  std::span<const Segment> segments;          // cover the rows without a gap
  std::span<const RopeAngles* const> angles;  // one a segment
  KvFetch* kv = nullptr;  // null: all keys and values are in memory; else the config is sparse
};

class MiniCpm4 {
 public:
  /// Rows of the largest batch, and of logits at once.
  static constexpr int kMaxRows = 512;
  static constexpr int kHeadRows = 16;

  /// `activations`, what linears with packed weights take: f32 or a8. `weights` and
  /// `backend` outlive the model. Throws Error{kCheckpoint} where a weight is missing.
  MiniCpm4(const Config& config, DType activations, const Weights& weights, Backend& backend,
           KvLayout layout);

  /// Bytes of activations that a model of this config allocates, `reorders` where columns of its
  /// weights have an order of their own.
  static int64_t activation_bytes(const Config& config, DType activations, bool reorders);
  /// Bytes that choosing blocks for sequences of up to `capacity` tokens takes.
  static int64_t selection_bytes(const Config& config, int64_t capacity);

  /// Room for sequences of up to `capacity` tokens; they may be run from then on.
  void reserve(int64_t capacity);

  /// Appends the batch's keys and values to its sequences' blocks and keeps the residual stream of
  /// its rows. `stop` is asked between layers; true ends the run at once (the blocks then hold an
  /// unfinished tail). Returns whether it was started to the end. Throws Error{kStorage} where
  /// `batch.kv` does; the tail is unfinished then too.
  bool run(const Batch& batch, const std::function<bool()>& stop);

  /// Benchmarks only: appends made-up keys and values for the batch's rows, without computing
  /// anything.
  void fill(const Batch& batch);

  /// Final norm and head for `rows` of the last batch, at most kHeadRows; valid until the next
  /// call.
  struct Head {
    Tensor hidden;  // [rows, hidden], f32: the final norm's output
    Tensor logits;  // [rows, vocabulary], f32
  };
  Head head(std::span<const int32_t> rows);
  /// The same without the head: [rows, hidden], f32.
  Tensor hidden(std::span<const int32_t> rows);

  /// Log-probabilities of `targets` under rows of logits, at most kHeadRows: at `to` on the host
  /// once the backend's memory is synchronized.
  void score(const Tensor& logits, std::span<const int32_t> targets, float* to);

  /// For calibration: where linears of a layer take their input from.
  enum class Site { attention, attention_out, mlp, mlp_out };

  /// The residual stream of the last batch's rows, [rows, hidden], f32: what a layer starts from,
  /// to be read and written where memory is the host's.
  Tensor residual(int64_t rows) const { return a_.h.slice(0, rows); }
  /// The input of a site's linears, [rows, in], f32, for the residual stream before the layer;
  /// valid until the next call. The residual stream becomes what the linears before have made of
  /// it.
  Tensor run_to(int layer, Site site, const Batch& batch);
  /// The residual stream behind the layer.
  void run_layer(int layer, const Batch& batch);

  /// Ops started since construction.
  int64_t ops_started() const { return ops_; }
  /// Of every op between embedding and head.
  OpProfile& profile() { return profile_; }

 private:
  struct Layer {
    Tensor attention_norm, q, k, v, o;
    Tensor q_norm, k_norm;  // [1, head_dim]; null where the model norms neither
    Tensor mlp_norm, gate, up, down;
  };

  /// The tensors between ops, cut from one arena: [kMaxRows, ...], for the head [kHeadRows, ...].
  struct Activations {
    /// null data: counts bytes only
    Activations(const Config& config, DType activations, bool reorders, std::byte* data);

    Tensor tokens, cos, sin;
    Tensor h, x, q, k, v, gate, up;
    Tensor quantized;  // a8, of the widest input of a linear; empty with f32
    Tensor reordered;  // of the widest input, too; empty where nothing is
    Tensor head_rows, hidden, logits;
    Tensor targets, log_probs;
    size_t bytes = 0;
  };

  Tensor normed(const Tensor& weight, int rows);
  Tensor attended(const Layer& layer, int index, const Batch& batch, int rows);
  void attention(const Layer& layer, int index, const Batch& batch, int rows);
  void begin(const Batch& batch);
  BlockMasks select_blocks(int layer, const Batch& batch, const Tensor& q);
  void fetch_before(KvFetch& kv, int layer, std::span<const Segment> segments);
  void norm_heads(const Tensor& x, const Tensor& weight);
  void gate_and_up(const Layer& layer, int rows);
  void mlp(const Layer& layer, int rows);
  template <typename Op>
  void start(const Op& op);
  /// Linears of one x, which is rounded once for all whose weights are packed where activations are
  /// a8.
  void multiply(std::initializer_list<Linear> linears);
  /// A linear whose x has its columns in `order` first.
  void multiply_reordered(const Linear& linear, const Tensor& order);
  /// Its x is rounded.
  bool rounds(const Tensor& weight) const;
  /// Where `rows` rows of `columns` numbers in a8 go.
  Tensor quantized(int64_t rows, int64_t columns) const;

  const Config config_;
  const DType activations_;
  const KvLayout layout_;
  const float attention_scale_;
  Backend& backend_;
  Memory& memory_;
  const Weights& weights_;
  Tensor embed_, norm_, head_;
  std::vector<Layer> layers_;
  std::atomic<int64_t> ops_{0};
  OpProfile profile_;

  Buffer arena_;
  const Activations a_;
  std::vector<float> cos_, sin_;  // of the batch at hand: [kMaxRows, head_dim / 2]

  int64_t most_blocks_ = 0;  // of a sequence
  Buffer selection_;         // masks, then scores: a row for each of kMaxRows and KV head
  AttentionParts parts_;
  std::vector<KvNeed> before_;  // of fetch_before
};

}  // namespace minicpm
