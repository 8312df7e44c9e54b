// StepLoop's decode step: one token for every sequence that wants one.
#include <algorithm>
#include <utility>

#include "native/engine/sequence.h"
#include "native/engine/step_loop.h"

namespace minicpm {
namespace {

/// Tokens are emitted about this often, the first at once.
constexpr auto kEmitEvery = std::chrono::milliseconds(10);

}  // namespace

/// One step for every sequence that wants one: the weights are read once for all, and all tokens
/// are waited for at once.
void StepLoop::decode_step() {
  step_pending();
  for (const auto& shared : turn_) {
    Sequence& sequence = *shared;
    if (!sequence.current_) continue;
    const std::optional<Error> error = error_of([&] { start_sample(sequence); });
    if (error) fail(sequence, *error);
  }
  const std::optional<Error> failed = error_of([&] { memory_.synchronize(); });
  for (const auto& shared : turn_) {
    Sequence& sequence = *shared;
    if (!sequence.current_) continue;
    const std::optional<Error> error = failed ? failed : error_of([&] { settle(sequence); });
    if (error) fail(sequence, *error);
  }
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
  const std::optional<Error> error = error_of([&] {
    ran = run_batch();
    if (ran) keep_heads();
  });
  for (Sequence* sequence : batch_) {
    SequenceState& state = *sequence->state_;
    if (error) {
      fail(*sequence, *error);
    } else if (!ran) {
      state.kv.truncate(state.length());
      finish(*sequence, Outcome::cancelled);
    } else {
      state.tokens.push_back(*state.pending);
      state.pending.reset();
      state.has_logits = true;
      state.stepped = true;
      sequence->length_ = state.length();
    }
  }
}

void StepLoop::keep_heads() {
  int32_t rows[MiniCpm4::kHeadRows];
  for (size_t begin = 0; begin < batch_.size(); begin += MiniCpm4::kHeadRows) {
    const size_t count = std::min<size_t>(batch_.size() - begin, MiniCpm4::kHeadRows);
    for (size_t i = 0; i < count; ++i) rows[i] = static_cast<int32_t>(begin + i);
    const MiniCpm4::Head head = forward_.head({rows, count});
    for (size_t i = 0; i < count; ++i) {
      keep_head(*batch_[begin + i]->state_, head, static_cast<int64_t>(i));
    }
  }
}

void StepLoop::start_sample(Sequence& sequence) {
  SequenceState& state = *sequence.state_;
  if (const auto* decode = work_as<DecodeWork>(sequence.current_)) {
    // Without logits its step did not fit this turn's batch.
    if (decode->made < decode->count && state.has_logits) {
      sample(state, decode->sampling, nullptr);
    }
  } else if (const auto* once = work_as<SampleWork>(sequence.current_)) {
    state.counts.clear();
    if (once->sampling.has_penalties()) {
      state.counts.reset(static_cast<int>(state.vocab_size), state.tokens, state.answer_start, 0);
    }
    sample(state, once->sampling, once->mask.empty() ? nullptr : once->mask.data());
  }
}

void StepLoop::sample(SequenceState& state, const SamplingOptions& options, const uint32_t* mask) {
  Sample op{
      .logits = state.logits(),
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
      .token = &state.sampled,
  };
  if (options.logprobs >= 0) {
    state.made_log_probs.push_back(0);
    op.log_prob = &state.made_log_probs.back();
    const auto best = static_cast<size_t>(options.logprobs);
    state.made_top.resize(state.made_top.size() + best);
    op.top = {state.made_top.data() + state.made_top.size() - best, best};
  }
  backend_.run(op);
  state.sampling = true;
}

/// What the sequence has started in this step has ended.
void StepLoop::settle(Sequence& sequence) {
  SequenceState& state = *sequence.state_;
  const bool stepped = std::exchange(state.stepped, false);
  const bool sampled = std::exchange(state.sampling, false);
  if (stepped) state.kv.seal(state.tokens);
  if (sampled) {
    if (state.sampled < 0) throw_no_token();
    state.pending = state.sampled;
    state.made.push_back(state.sampled);
  }
  if (auto* decode = work_as<DecodeWork>(sequence.current_)) {
    if (sampled) settle_token(sequence, *decode);
    if (!sampled && decode->made >= decode->count) finish(sequence, Outcome::count);
  } else if (stepped || sampled) {
    finish(sequence, Outcome::done);
  }
}

void StepLoop::settle_token(Sequence& sequence, DecodeWork& work) {
  SequenceState& state = *sequence.state_;
  ++work.made;
  const int32_t token = *state.pending;
  if (work.sampling.has_penalties()) state.counts.add(token);
  const bool stop = std::ranges::find(work.stop_tokens, token) != work.stop_tokens.end();
  if (stop || work.made == work.count)
    return finish(sequence, stop ? Outcome::stop : Outcome::count);
  if (state.made.size() >= kMaxUnemitted || Clock::now() - state.emitted >= kEmitEvery)
    emit(sequence);
}

}  // namespace minicpm
