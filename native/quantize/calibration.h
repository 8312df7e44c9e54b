// What quantization knows of a model's activations: windows of text taken through it layer by
// layer, so that one layer's weights and one gram matrix are in memory at a time.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "native/engine/model.h"

namespace minicpm {

struct CalibrationOptions {
  int window = 512;       // tokens, at most MiniCpm4::kMaxRows
  bool even_out = false;  // every token counts alike (P-GPTQ)
  int held_out = 0;       // last windows that only compare() uses
  float damping = 0;      // as in Feedback
};

/// Of the held-out windows, in nats; means over tokens, but for the first of each window.
struct Comparison {
  int64_t tokens = 0;
  double source_nll = 0, packed_nll = 0;
  double kl = 0;          // KL(source || packed)
  int64_t same_best = 0;  // tokens where both have the same best next one
};

/// Plans here are of one layer, "layers.0...", with "embed" and "norm" beside it. One call at a
/// time.
class Calibration {
 public:
  using Site = MiniCpm4::Site;

  /// Whole windows of `tokens`; the embeddings are `source`'s. Throws Error{kState} where none is
  /// left to gather from.
  Calibration(ModelPlan source, std::vector<int32_t> tokens, const CalibrationOptions& options);

  /// Learns what the inputs at `site` are like, for pack().
  void gather(const ModelPlan& layer, Site site);
  /// A matrix of the site gathered last, rounded with feedback. Throws Error{kCheckpoint, kShape}
  /// as pack_rows does.
  Buffer pack(const WeightFile& file, const WeightSource& source, const Packing& packing);
  /// All windows go on behind `packed`; the held-out ones behind `source` too, beside it.
  void advance(const ModelPlan& packed, const ModelPlan& source);
  /// Behind the last layer: `packed` and `source` have the heads.
  Comparison compare(const ModelPlan& packed, const ModelPlan& source);

  /// The call that runs ends soon, with Error{kState}; from any thread.
  void cancel() { cancelled_ = true; }

 private:
  struct Loaded;

  int windows() const { return static_cast<int>(tokens_.size()) / options_.window; }
  Tensor window(const Buffer& states, int index) const;
  void embed();
  /// Makes all of a site's matrices of the lower half of its gram matrix.
  void split();
  Tensor square(const Buffer& matrix) const;
  void run(Loaded& model, const Buffer& states, int first, int count);
  /// Puts window `index` of `states` before the layer.
  Batch begin(Loaded& model, const Buffer& states, int index);
  void check_cancelled() const;

  const ModelPlan source_;
  const CalibrationOptions options_;
  std::vector<int32_t> tokens_;
  std::unique_ptr<Backend> backend_;
  std::atomic<bool> cancelled_{false};

  Buffer states_;         // [tokens, hidden], f32: of all windows, behind the layers so far
  Buffer source_states_;  // the same of the held-out ones, behind layers that are not packed
  Buffer keys_;           // and values, of one window and layer
  std::vector<std::byte*> blocks_;
  Segment segment_;
  std::optional<RopeAngles> angles_;
  const RopeAngles* angles_of_batch_ = nullptr;

  // Of the site gathered last.
  int64_t inputs_ = 0;
  Buffer hessian_;              // [inputs, inputs], the gram matrix, then damped
  std::vector<int32_t> order_;  // those with the largest numbers first
  Buffer coefficients_;         // [inputs, inputs], in that order
  Buffer importance_;
};

}  // namespace minicpm
