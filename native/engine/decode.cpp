// StepLoop's decode step: one token for every sequence that wants one.
#include <algorithm>

#include "native/engine/sequence.h"
#include "native/engine/step_loop.h"

namespace minicpm {
namespace {

/// Tokens are emitted about this often, the first at once.
constexpr auto kEmitEvery = std::chrono::milliseconds(10);

}  // namespace

/// One step for every sequence that wants one: the weights are read once for all.
void StepLoop::decode_step() {
  step_pending();
  for (const auto& shared : turn_) {
    Sequence& sequence = *shared;
    const std::optional<Error> error = error_of([&] {
      if (auto* decode = work_as<DecodeWork>(sequence.current_)) decode_token(sequence, *decode);
      if (auto* sample = work_as<SampleWork>(sequence.current_)) sample_once(sequence, *sample);
    });
    if (error) fail(sequence, *error);
  }
}

void StepLoop::sample_once(Sequence& sequence, const SampleWork& work) {
  SequenceState& state = *sequence.state_;
  state.counts.clear();
  if (work.sampling.has_penalties()) {
    state.counts.reset(static_cast<int>(state.vocab_size), state.tokens, state.answer_start, 0);
  }
  sample(sequence, work.sampling, work.mask.empty() ? nullptr : work.mask.data());
  finish(sequence, Outcome::done);
}

void StepLoop::step_pending() {
  clear_batch();
  for (const auto& shared : turn_) {
    Sequence& sequence = *shared;
    const bool wants_step =
        work_as<DecodeWork>(sequence.current_) || work_as<StepWork>(sequence.current_);
    if (!wants_step || !sequence.state_->pending) continue;
    if (batch_.size() == MiniCpm4::kMaxRows) break;
    const std::optional<Error> error = error_of([&] {
      add_to_batch(sequence, {&*sequence.state_->pending, 1});
    });
    if (error) fail(sequence, *error);
  }
  if (batch_.empty()) return;

  bool ran = false;
  const std::optional<Error> error = error_of([&] { ran = run_batch(); });
  if (!ran) {
    for (Sequence* sequence : batch_) {
      if (error) {
        fail(*sequence, *error);
        continue;
      }
      sequence->state_->kv.truncate(sequence->state_->length());
      finish(*sequence, Outcome::cancelled);
    }
    return;
  }
  int32_t rows[MiniCpm4::kHeadRows];
  for (size_t begin = 0; begin < batch_.size(); begin += MiniCpm4::kHeadRows) {
    const size_t count = std::min<size_t>(batch_.size() - begin, MiniCpm4::kHeadRows);
    for (size_t i = 0; i < count; ++i) rows[i] = static_cast<int32_t>(begin + i);
    const MiniCpm4::Head head = forward_.head({rows, count});
    for (size_t i = 0; i < count; ++i) {
      Sequence& sequence = *batch_[begin + i];
      SequenceState& state = *sequence.state_;
      state.tokens.push_back(*state.pending);
      state.kv.seal(state.tokens);
      state.pending.reset();
      sequence.length_ = state.length();
      keep_head(sequence, head, static_cast<int64_t>(i));
      if (work_as<StepWork>(sequence.current_)) finish(sequence, Outcome::done);
    }
  }
}

void StepLoop::decode_token(Sequence& sequence, DecodeWork& work) {
  SequenceState& state = *sequence.state_;
  if (work.made >= work.count) return finish(sequence, Outcome::count);
  if (!state.has_logits) return;  // its step did not fit this turn's batch

  sample(sequence, work.sampling, nullptr);
  ++work.made;
  const int32_t token = *state.pending;
  if (work.sampling.has_penalties()) state.counts.add(token);
  const bool stop = std::ranges::find(work.stop_tokens, token) != work.stop_tokens.end();
  if (stop || work.made == work.count)
    return finish(sequence, stop ? Outcome::stop : Outcome::count);
  if (state.made.size() >= kMaxUnemitted || Clock::now() - state.emitted >= kEmitEvery)
    emit(sequence);
}

void StepLoop::sample(Sequence& sequence, const SamplingOptions& options, const uint32_t* mask) {
  SequenceState& state = *sequence.state_;
  int32_t token;
  Sample op{
      .logits = {state.logits().data(), DType::f32, 1, static_cast<int64_t>(state.vocab_size)},
      .counts = state.counts.counts(),
      .biases = options.biases,
      .mask = mask,
      .repetition_penalty = options.repetition_penalty,
      .presence_penalty = options.presence_penalty,
      .frequency_penalty = options.frequency_penalty,
      .temperature = options.temperature,
      .top_k = options.top_k,
      .top_p = options.top_p,
      .min_p = options.min_p,
      .seed = options.seed,
      .position = state.length(),
      .token = &token,
  };
  if (options.logprobs >= 0) {
    state.made_log_probs.push_back(0);
    op.log_prob = &state.made_log_probs.back();
    const auto best = static_cast<size_t>(options.logprobs);
    state.made_top.resize(state.made_top.size() + best);
    op.top = {state.made_top.data() + state.made_top.size() - best, best};
  }
  backend_.run(op);
  state.pending = token;
  state.made.push_back(token);
}

}  // namespace minicpm
