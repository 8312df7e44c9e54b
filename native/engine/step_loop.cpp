#include "native/engine/step_loop.h"

#include <algorithm>

#include "native/engine/sequence.h"

namespace minicpm {
namespace {

[[noreturn]] void throw_context(int64_t needed, int64_t capacity) {
  throw Error(
      ErrorCode::kContext,
      std::to_string(needed) + " tokens do not fit a sequence of " + std::to_string(capacity),
      {std::to_string(needed), std::to_string(capacity)});
}

[[noreturn]] void throw_nothing_to_sample() {
  throw Error(ErrorCode::kState, "There are no logits to sample from: prefill first.");
}

}  // namespace

StepLoop::StepLoop(MiniCpm4& forward, Backend& backend, KvSpill* spill)
    : forward_(forward),
      backend_(backend),
      memory_(backend.memory()),
      fetch_(spill),
      spills_(spill != nullptr),
      thread_([this] { main(); }) {}

void StepLoop::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const auto& sequence : busy_) ++sequence->epoch_;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void StepLoop::main() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !busy_.empty(); });
      if (busy_.empty()) return;
    }
    admit();
    prefill_slice();
    decode_step();
    turn_.clear();
  }
}

void StepLoop::admit() {
  {
    const std::lock_guard lock(mutex_);
    turn_.assign(busy_.begin(), busy_.end());
  }
  std::erase_if(turn_, [this](const auto& sequence) { return !has_work(*sequence); });
}

bool StepLoop::has_work(Sequence& sequence) {
  for (;;) {
    bool fresh = false;
    if (!sequence.current_) {
      const std::lock_guard lock(mutex_);
      if (sequence.queue_.empty()) return false;
      sequence.current_ = std::move(sequence.queue_.front());
      sequence.queue_.pop_front();
      fresh = true;
    }
    if (sequence.current_->epoch != sequence.epoch_) {
      finish(sequence, Outcome::cancelled);
      continue;
    }
    if (!fresh) return true;
    const std::optional<Error> error =
        error_of([&] { prepare(*sequence.state_, sequence.capacity_, *sequence.current_); });
    if (!error) return true;
    fail(sequence, *error);
  }
}

void StepLoop::prepare(SequenceState& state, int64_t capacity, Work& work) {
  forward_.reserve(capacity);
  if (const auto* prefill = std::get_if<PrefillWork>(&work.what)) {
    const int64_t needed = state.length() + static_cast<int64_t>(prefill->tokens.size());
    if (needed > capacity) throw_context(needed, capacity);
    state.pending.reset();
  } else if (const auto* decode = std::get_if<DecodeWork>(&work.what)) {
    if (!state.pending && !state.has_logits) throw_nothing_to_sample();
    // The last token made stays pending and takes no slot.
    const int64_t needed = state.length() + decode->count - (state.pending ? 0 : 1);
    if (needed > capacity) throw_context(needed, capacity);
    const size_t unemitted = std::min(static_cast<size_t>(decode->count), kMaxUnemitted);
    state.made.reserve(unemitted);
    if (decode->sampling.logprobs >= 0) {
      state.made_log_probs.reserve(unemitted);
      state.made_top.reserve(unemitted * static_cast<size_t>(decode->sampling.logprobs));
    }
    state.emitted = {};
    state.counts.clear();
    if (decode->sampling.has_penalties()) {
      state.counts.reset(static_cast<int>(state.vocab_size), state.tokens, state.answer_start,
                         static_cast<size_t>(decode->count) + 1);
      if (state.pending) state.counts.add(*state.pending);
    }
  } else if (std::holds_alternative<StepWork>(work.what)) {
    if (!state.pending) throw Error(ErrorCode::kState, "There is no pending token: sample first.");
    if (state.length() + 1 > capacity) throw_context(state.length() + 1, capacity);
  } else if (std::holds_alternative<SampleWork>(work.what)) {
    if (!state.has_logits) throw_nothing_to_sample();
  } else if (const auto* fill = std::get_if<FillWork>(&work.what)) {
    if (fill->length > capacity) throw_context(fill->length, capacity);
  }
}

// ------------------------------------------------------------------------------------------- batch

void StepLoop::clear_batch() {
  batch_.clear();
  tokens_.clear();
  segments_.clear();
  angles_.clear();
  fetch_.sequences.clear();
}

void StepLoop::add_to_batch(Sequence& sequence, std::span<const int32_t> tokens) {
  SequenceState& state = *sequence.state_;
  const auto count = static_cast<int64_t>(tokens.size());
  state.kv.grow(state.length() + count);
  segments_.push_back({.row = static_cast<int>(tokens_.size()),
                       .count = static_cast<int>(count),
                       .position = static_cast<int>(state.length()),
                       .blocks = state.kv.blocks(),
                       .pooled = state.kv.pooled()});
  angles_.push_back(&state.angles);
  fetch_.sequences.push_back(state.kv.kv_blocks());
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  batch_.push_back(&sequence);
}

Batch StepLoop::batch_of_turn() {
  return {tokens_, segments_, angles_, spills_ ? &fetch_ : nullptr};
}

/// Stops between layers once every sequence in it is cancelled.
bool StepLoop::run_batch() {
  return forward_.run(batch_of_turn(), [this] {
    return std::ranges::all_of(batch_, [](const Sequence* sequence) {
      return sequence->current_->epoch != sequence->epoch_;
    });
  });
}

void StepLoop::keep_head(SequenceState& state, const MiniCpm4::Head& head, int64_t row) {
  const Tensor logits = state.logits(), hidden = state.hidden();
  memory_.copy(logits.data, head.logits.slice(row, 1).data, logits.bytes());
  memory_.copy(hidden.data, head.hidden.slice(row, 1).data, hidden.bytes());
}

// ------------------------------------------------------------------------------------------ events

void StepLoop::emit(Sequence& sequence) {
  SequenceState& state = *sequence.state_;
  if (state.made.empty()) return;
  sequence.current_->listener->tokens({state.made, state.made_log_probs, state.made_top});
  state.made.clear();
  state.made_log_probs.clear();
  state.made_top.clear();
  state.emitted = Clock::now();
}

void StepLoop::finish(Sequence& sequence, Outcome outcome) {
  emit(sequence);
  const Work work =
      take_current(sequence);  // from here on the caller's thread may use the sequence
  const auto* prefill = std::get_if<PrefillWork>(&work.what);
  work.listener->finished(
      outcome, prefill ? std::span<const float>(prefill->numbers) : std::span<const float>());
}

void StepLoop::fail(Sequence& sequence, const Error& error) {
  SequenceState& state = *sequence.state_;
  // An unfinished tail. Where the device fails at that, too, its calls fail from now on.
  static_cast<void>(error_of([&] { state.kv.truncate(state.length()); }));
  state.stepped = state.sampling = false;
  state.made.clear();
  state.made_log_probs.clear();
  state.made_top.clear();
  take_current(sequence).listener->failed(error);
}

Work StepLoop::take_current(Sequence& sequence) {
  std::unique_ptr<SequenceState> freed;
  const std::lock_guard lock(mutex_);
  Work work = std::move(*sequence.current_);
  sequence.current_.reset();
  if (sequence.queue_.empty()) {
    std::erase_if(busy_, [&](const auto& other) { return other.get() == &sequence; });
    if (sequence.disposing_) freed = std::move(sequence.state_);
  }
  return work;
}

}  // namespace minicpm
