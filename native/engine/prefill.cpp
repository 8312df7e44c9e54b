// StepLoop's slices: prompts, made-up blocks for benches, blocks saved to disk.
#include <algorithm>
#include <limits>

#include "native/engine/sequence.h"
#include "native/engine/step_loop.h"

namespace minicpm {
namespace {

/// A prefill slice aims at this long: with the decode step behind it a stream beside it waits about
/// 250 ms, and an abort for its answer.
constexpr double kSliceSeconds = 0.2;
constexpr int kMinSliceRows = 16;

}  // namespace

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
  const bool last = slice.size() == left;
  if (last) {
    const int32_t row = rows - 1;
    keep_head(state, forward_.head({&row, 1}), 0);
  }
  memory_.synchronize();
  state.tokens.insert(state.tokens.end(), slice.begin(), slice.end());
  state.kv.seal(state.tokens);
  state.has_logits = last;
  state.answer_start = state.tokens.size();
  sequence.length_ = state.length();
  work.done += slice.size();

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
    const auto count = static_cast<size_t>(logits.rows);
    forward_.score(logits, std::span(work.tokens).subspan(first_target, count),
                   work.numbers.data() + first_target);
  };
  if (work.done == 0) {
    work.numbers[0] = std::numeric_limits<float>::quiet_NaN();
    if (state.has_logits) {
      score(state.logits(), 0);
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
    hidden_.resize(static_cast<size_t>(rows) * work.numbers.size());
    memory_.download(&hidden_[static_cast<size_t>(begin) * work.numbers.size()], hidden.data,
                     hidden.bytes());
  }
  memory_.synchronize();
  for (size_t i = 0; i < hidden_.size(); ++i) {
    work.numbers[i % work.numbers.size()] += hidden_[i] / static_cast<float>(work.tokens.size());
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
    forward_.fill(batch_of_turn());
    state.tokens.insert(state.tokens.end(), tokens.begin(), tokens.end());
    if (spills_) state.kv.seal(state.tokens);  // full blocks go where a prompt's do
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

}  // namespace minicpm
