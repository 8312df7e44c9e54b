#include "native/engine/step_loop.h"

#include <algorithm>
#include <cstring>

#include "native/engine/sequence.h"

namespace minicpm {
namespace {

using Clock = std::chrono::steady_clock;

/// A prefill slice aims at this long: what a stream beside it waits at most, and an abort for its
/// answer.
constexpr double kSliceSeconds = 0.25;
constexpr int kMinSliceRows = 16;

/// Tokens are emitted about this often, the first at once.
constexpr auto kEmitEvery = std::chrono::milliseconds(10);
constexpr size_t kMaxUnemitted = 1024;

/// The current work of a sequence, if it is of type T.
template <typename T>
T* work_as(std::optional<Work>& work) {
  return work ? std::get_if<T>(&work->what) : nullptr;
}

[[noreturn]] void throw_context(int64_t needed, int64_t capacity) {
  throw Error(
      ErrorCode::kContext,
      std::to_string(needed) + " tokens do not fit a sequence of " + std::to_string(capacity),
      {std::to_string(needed), std::to_string(capacity)});
}

/// What `action` threw, if anything: a failing call must end as such, never with the engine thread.
template <typename Action>
std::optional<Error> error_of(Action action) {
  try {
    action();
    return std::nullopt;
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  }
}

[[noreturn]] void throw_nothing_to_sample() {
  throw Error(ErrorCode::kState, "There are no logits to sample from: prefill first.");
}

}  // namespace

StepLoop::StepLoop(MiniCpm4& forward, Backend& backend)
    : forward_(forward), backend_(backend), thread_([this] { main(); }) {}

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

// ------------------------------------------------------------------------------------- prefill

/// One slice for one sequence; they take turns.
void StepLoop::prefill_slice() {
  for (size_t i = 0; i < turn_.size(); ++i) {
    Sequence& sequence = *turn_[(next_prefill_ + i) % turn_.size()];
    auto* prefill = work_as<PrefillWork>(sequence.current_);
    auto* filling = work_as<FillWork>(sequence.current_);
    auto* saving = work_as<SaveWork>(sequence.current_);
    if (!prefill && !filling && !saving) continue;
    next_prefill_ = (next_prefill_ + i + 1) % turn_.size();
    const std::optional<Error> error = error_of([&] {
      if (prefill) run_slice(sequence, *prefill);
      if (filling) fill(sequence, *filling);
      if (saving) save(sequence, *saving);
    });
    if (error) fail(sequence, *error);
    return;
  }
}

void StepLoop::run_slice(Sequence& sequence, PrefillWork& work) {
  SequenceState& state = *sequence.state_;
  using Also = PrefillWork::Also;
  if (work.also == Also::nothing && attach_prefix(sequence, work)) return;
  const size_t left = work.tokens.size() - work.done;
  if (left == 0) return finish(sequence, Outcome::done);

  const auto start = Clock::now();
  const int rows = static_cast<int>(std::min(left, static_cast<size_t>(slice_rows_)));
  const std::span slice(work.tokens.data() + work.done, static_cast<size_t>(rows));
  clear_batch();
  add_to_batch(sequence, slice);
  if (!run_batch()) {
    state.kv.truncate(state.length());
    return finish(sequence, Outcome::cancelled);
  }
  if (work.also == Also::log_probs) score_slice(sequence, work, rows);
  if (work.also == Also::mean_hidden) pool_slice(work, rows);
  state.tokens.insert(state.tokens.end(), slice.begin(), slice.end());
  state.kv.seal(state.tokens);
  state.has_logits = false;
  state.answer_start = state.tokens.size();
  sequence.length_ = state.length();
  work.done += slice.size();
  const bool last = work.done == work.tokens.size();
  if (last) {
    const int32_t row = rows - 1;
    keep_head(sequence, forward_.head({&row, 1}), 0);
  }

  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  slice_rows_ = std::clamp(static_cast<int>(rows * kSliceSeconds / std::max(seconds, 1e-6)),
                           kMinSliceRows, MiniCpm4::kMaxRows);
  sequence.current_->listener->progress(static_cast<int64_t>(work.done),
                                        static_cast<int64_t>(work.cached));
  if (last) finish(sequence, Outcome::done);
}

/// Takes what the block store has of the tokens ahead: another sequence may just have filled it.
/// True where the slice is over: files were read long enough.
bool StepLoop::attach_prefix(Sequence& sequence, PrefillWork& work) {
  SequenceState& state = *sequence.state_;
  const auto [attached, paused] =
      state.kv.attach(state.tokens, std::span(work.tokens).subspan(work.done), work.folder);
  if (attached == 0) return false;
  state.has_logits = false;
  sequence.length_ = state.length();
  work.done += static_cast<size_t>(attached);
  work.cached += static_cast<size_t>(attached);
  if (paused) {
    sequence.current_->listener->progress(static_cast<int64_t>(work.done),
                                          static_cast<int64_t>(work.cached));
  }
  return paused;
}

/// Log-probabilities of the slice's tokens, each under the row before it.
void StepLoop::score_slice(Sequence& sequence, PrefillWork& work, int rows) {
  const SequenceState& state = *sequence.state_;
  work.numbers.resize(work.tokens.size());
  const auto score = [&](const Tensor& logits, size_t first_target) {
    backend_.run(LogProb{
        .y = {work.numbers.data() + first_target, DType::f32, 1, logits.rows},
        .logits = logits,
        .targets = {work.tokens.data() + first_target, DType::i32, 1, logits.rows},
    });
  };
  if (work.done == 0) {
    work.numbers[0] = std::numeric_limits<float>::quiet_NaN();
    if (state.has_logits) {
      score({state.logits().data(), DType::f32, 1, static_cast<int64_t>(state.vocab_size)}, 0);
    }
  }
  int32_t chunk[MiniCpm4::kHeadRows];
  for (int begin = 0; begin < rows; begin += MiniCpm4::kHeadRows) {
    const size_t target = work.done + static_cast<size_t>(begin) + 1;
    const size_t targets =
        std::min<size_t>(static_cast<size_t>(std::min(rows - begin, MiniCpm4::kHeadRows)),
                         work.tokens.size() - target);
    if (targets == 0) return;
    for (size_t i = 0; i < targets; ++i) chunk[i] = begin + static_cast<int32_t>(i);
    score(forward_.head({chunk, targets}).logits, target);
  }
}

/// Adds the slice's share to the mean of all hidden states.
void StepLoop::pool_slice(PrefillWork& work, int rows) {
  int32_t chunk[MiniCpm4::kHeadRows];
  for (int begin = 0; begin < rows; begin += MiniCpm4::kHeadRows) {
    const int count = std::min(rows - begin, MiniCpm4::kHeadRows);
    for (int i = 0; i < count; ++i) chunk[i] = begin + i;
    const Tensor hidden = forward_.hidden({chunk, static_cast<size_t>(count)});
    work.numbers.resize(static_cast<size_t>(hidden.columns));
    for (int64_t i = 0; i < hidden.rows * hidden.columns; ++i) {
      work.numbers[static_cast<size_t>(i % hidden.columns)] +=
          hidden.as<float>()[i] / static_cast<float>(work.tokens.size());
    }
  }
}

void StepLoop::fill(Sequence& sequence, const FillWork& work) {
  SequenceState& state = *sequence.state_;
  const int64_t left = work.length - state.length();
  if (left > 0) {
    const std::vector<int32_t> tokens(
        static_cast<size_t>(std::min<int64_t>(left, MiniCpm4::kMaxRows)), 0);
    state.kv.isolate();
    clear_batch();
    add_to_batch(sequence, tokens);
    forward_.fill({tokens_, segments_, angles_});
    state.tokens.insert(state.tokens.end(), tokens.begin(), tokens.end());
    state.pending.reset();
    state.has_logits = false;
    sequence.length_ = state.length();
  }
  if (state.length() >= work.length) finish(sequence, Outcome::done);
}

/// Some blocks a turn, so that streams go on beside it.
void StepLoop::save(Sequence& sequence, SaveWork& work) {
  constexpr auto kSlice = std::chrono::milliseconds(20);
  const KvCache& kv = sequence.state_->kv;
  const auto end = Clock::now() + kSlice;
  while (work.saved < kv.full_blocks() && Clock::now() < end) {
    kv.save(work.saved, work.folder, work.previous);
    ++work.saved;
  }
  if (work.saved == kv.full_blocks()) finish(sequence, Outcome::done);
}

// ------------------------------------------------------------------------------------------ decode

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

  if (!run_batch()) {
    for (Sequence* sequence : batch_) {
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

// ------------------------------------------------------------------------------------------- batch

void StepLoop::clear_batch() {
  batch_.clear();
  tokens_.clear();
  segments_.clear();
  angles_.clear();
}

void StepLoop::add_to_batch(Sequence& sequence, std::span<const int32_t> tokens) {
  SequenceState& state = *sequence.state_;
  const auto count = static_cast<int64_t>(tokens.size());
  state.kv.grow(state.length() + count);
  segments_.push_back({.row = static_cast<int>(tokens_.size()),
                       .count = static_cast<int>(count),
                       .position = static_cast<int>(state.length()),
                       .blocks = state.kv.blocks()});
  angles_.push_back(&state.angles);
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  batch_.push_back(&sequence);
}

/// Stops between layers once every sequence in it is cancelled.
bool StepLoop::run_batch() {
  return forward_.run({tokens_, segments_, angles_}, [this] {
    return std::ranges::all_of(batch_, [](const Sequence* sequence) {
      return sequence->current_->epoch != sequence->epoch_;
    });
  });
}

void StepLoop::keep_head(Sequence& sequence, const MiniCpm4::Head& head, int64_t row) {
  SequenceState& state = *sequence.state_;
  std::memcpy(state.logits().data(), head.logits.slice(row, 1).data, state.logits().size_bytes());
  std::memcpy(state.hidden().data(), head.hidden.slice(row, 1).data, state.hidden().size_bytes());
  state.has_logits = true;
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
  state.kv.truncate(state.length());  // an unfinished tail
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
