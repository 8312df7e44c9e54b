// One sequence of tokens: its KV blocks, its newest logits, and the work waiting for it.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "native/engine/kv_cache.h"
#include "native/engine/token_counts.h"
#include "native/engine/work.h"
#include "native/model/rope_angles.h"

namespace minicpm {

class Model;
class StepLoop;

/// What the engine thread knows of a sequence; it alone touches it while the sequence has work.
struct SequenceState {
  /// `run` names what changes keys or values beside the tokens and the angles.
  SequenceState(const Config& config, BlockStore& store, int64_t capacity, const std::string& run,
                BlockDirectory* directory);
  /// A fork: shares what is full, copies the rest.
  explicit SequenceState(const SequenceState& parent);

  RopeAngles angles;
  KvCache kv;
  std::vector<int32_t> tokens;     // whose keys and values are held
  std::optional<int32_t> pending;  // sampled, not yet run
  bool has_logits = false;         // of the last of `tokens`
  Buffer outputs;                  // logits [vocabulary], then hidden [hidden], f32
  int64_t vocab_size, hidden_size;
  size_t answer_start = 0;  // tokens before it are prompt: where the last prefill ended

  // Of the step at hand, until its ops have ended.
  bool stepped = false;   // the pending token is run
  bool sampling = false;  // a Sample's token goes to `sampled`
  int32_t sampled = -1;

  // Of the running decode.
  TokenCounts counts;
  std::vector<int32_t> made;  // not yet emitted
  std::vector<float> made_log_probs;
  std::vector<TokenLogProb> made_top;
  std::chrono::steady_clock::time_point emitted;

  // In the memory of the model's backend.
  Tensor logits() const { return {outputs.data(), DType::f32, 1, vocab_size}; }
  Tensor hidden() const { return {outputs.as<float>() + vocab_size, DType::f32, 1, hidden_size}; }
  int64_t length() const { return static_cast<int64_t>(tokens.size()); }

  /// Forgets tokens from `length` on, the pending one and the logits.
  void truncate(int64_t length);
};

/// Safe to call from any one thread beside the engine's. Whoever holds a sequence holds its model
/// too: the engine thread may be the last to let a sequence go, and must not be the one that ends
/// the model.
class Sequence : public std::enable_shared_from_this<Sequence> {
 public:
  Sequence(Model& model, int64_t capacity);
  Sequence(const Sequence& parent, std::unique_ptr<SequenceState> state);

  int64_t length() const { return length_; }
  int64_t capacity() const { return capacity_; }
  Model& model() const { return model_; }

  /// Queues work; it runs after what was submitted before. Throws Error{kState} when disposed.
  template <typename What>
  void submit(What what, std::unique_ptr<WorkListener> listener) {
    enqueue({std::move(what), std::move(listener)});
  }

  /// These throw Error{kState} while work is running or queued, and when disposed.
  std::vector<int32_t> tokens();
  std::vector<float> logits();
  std::vector<float> hidden();
  void truncate(int64_t length);
  /// Another sequence with the same tokens, pending token and logits; their blocks are shared.
  /// Throws Error{kOutOfMemory} too.
  std::shared_ptr<Sequence> fork();

  /// Ends the running and queued work as cancelled, within two layers.
  void cancel();

  /// Frees the blocks now, or when the running work has stopped.
  void dispose();

 private:
  friend class StepLoop;

  void enqueue(Work work);
  /// The state, for a caller that holds the loop's mutex; throws unless it is idle.
  SequenceState& idle_state();
  /// A copy of a tensor's numbers on the host.
  std::vector<float> read(const Tensor& tensor);

  Model& model_;
  const int64_t capacity_;
  std::atomic<int64_t> length_{0};
  std::atomic<uint64_t> epoch_{0};

  // Guarded by the loop's mutex.
  std::unique_ptr<SequenceState> state_;  // null once disposed
  std::optional<Work> current_;
  std::deque<Work> queue_;
  bool disposing_ = false;
};

}  // namespace minicpm
