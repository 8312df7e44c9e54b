// What a sequence can be asked to do, and who hears about it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "kernels/error.h"
#include "kernels/sample.h"

namespace minicpm {

/// Fields and their order of use: kernels/sample.h.
struct SamplingOptions {
  float temperature = 0;
  int32_t top_k = 0;
  float top_p = 1;
  float min_p = 0;
  float repetition_penalty = 1;
  float presence_penalty = 0;
  float frequency_penalty = 0;
  uint64_t seed = 0;
  std::vector<TokenBias> biases;
  int32_t logprobs = -1;  // best tokens reported with each token; -1: no log-probabilities at all

  bool has_penalties() const {
    return repetition_penalty != 1 || presence_penalty != 0 || frequency_penalty != 0;
  }
};

/// Appends tokens, in slices. Logits of the last are ready afterwards; on request, something of
/// every one.
struct PrefillWork {
  enum class Also { nothing, log_probs, mean_hidden };

  std::vector<int32_t> tokens;
  Also also = Also::nothing;
  std::string folder;  // of block files to look in too, beside the directory; or empty
  size_t done = 0;
  size_t cached = 0;  // of done: found in the block store instead of computed
  std::vector<float>
      numbers;  // log-probabilities [tokens], or the mean of the hidden states [hidden]
};

/// Makes tokens one by one: steps the pending one if there is one, samples, emits.
struct DecodeWork {
  int64_t count = 0;
  std::vector<int32_t> stop_tokens;
  SamplingOptions sampling;
  int64_t made = 0;
};

/// Runs the pending token.
struct StepWork {};

/// Chooses a token from the present logits and leaves it pending.
struct SampleWork {
  SamplingOptions sampling;
  std::vector<uint32_t> mask;  // empty: all allowed
};

/// Benchmarks only: made-up keys and values up to `length`.
struct FillWork {
  int64_t length = 0;
};

/// Has `folder` hold the files of all full blocks.
struct SaveWork {
  std::string folder;
  std::string previous;  // an earlier save's folder, whose files are linked to; or empty
  int64_t saved = 0;     // blocks
};

enum class Outcome { done, stop, count, cancelled };

/// As JavaScript sees it.
constexpr std::string_view name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::done:
      return "done";
    case Outcome::stop:
      return "stop";
    case Outcome::count:
      return "count";
    case Outcome::cancelled:
      return "cancelled";
  }
  return "";
}

/// Tokens made since the last event. Views: valid during the call only.
struct TokenEvent {
  std::span<const int32_t> tokens;
  std::span<const float> log_probs;   // one a token, or none
  std::span<const TokenLogProb> top;  // `logprobs` a token, best first, or none
};

/// Hears of one piece of work, on the engine thread. Exactly one of finished and failed is called,
/// last.
class WorkListener {
 public:
  virtual ~WorkListener() = default;
  /// Tokens of a prefill that are held, `cached` of them found in the block store.
  virtual void progress(int64_t /*done*/, int64_t /*cached*/) {}
  virtual void tokens(const TokenEvent& /*event*/) {}
  /// `numbers` are the prefill's, where it makes some.
  virtual void finished(Outcome outcome, std::span<const float> numbers) = 0;
  virtual void failed(const Error& error) = 0;
};

struct Work {
  std::variant<PrefillWork, DecodeWork, StepWork, SampleWork, FillWork, SaveWork> what;
  std::unique_ptr<WorkListener> listener;
  uint64_t epoch = 0;  // the sequence's when it was submitted; another by now: cancelled
};

/// The current work of a sequence, if it is of type T.
template <typename T>
T* work_as(std::optional<Work>& work) {
  return work ? std::get_if<T>(&work->what) : nullptr;
}

}  // namespace minicpm
