#include "native/engine/sequence.h"

#include <algorithm>

#include "native/engine/model.h"

namespace minicpm {

SequenceState::SequenceState(const Config& config, BlockStore& store, int64_t capacity,
                             const std::string& run, BlockDirectory* directory)
    : angles(config, capacity),
      kv(store, run_key(run + " " + angles.fingerprint()), capacity, directory),
      outputs(store.memory(),
              sizeof(float) * static_cast<size_t>(config.vocab_size + config.hidden_size)),
      vocab_size(config.vocab_size),
      hidden_size(config.hidden_size) {
  tokens.reserve(static_cast<size_t>(capacity));
}

SequenceState::SequenceState(const SequenceState& parent)
    : angles(parent.angles),
      kv(KvCache::fork(parent.kv)),
      pending(parent.pending),
      has_logits(parent.has_logits),
      outputs(parent.kv.memory(), parent.outputs.size()),
      vocab_size(parent.vocab_size),
      hidden_size(parent.hidden_size),
      answer_start(parent.answer_start) {
  tokens.reserve(parent.tokens.capacity());
  tokens = parent.tokens;
  kv.memory().copy(outputs.data(), parent.outputs.data(), outputs.size());
}

void SequenceState::truncate(int64_t length) {
  kv.truncate(length);
  tokens.resize(static_cast<size_t>(length));
  pending.reset();
  has_logits = false;
  answer_start = std::min(answer_start, tokens.size());
}

Sequence::Sequence(Model& model, int64_t capacity)
    : model_(model),
      capacity_(capacity),
      state_(std::make_unique<SequenceState>(model_.config(), *model_.store_, capacity,
                                             model_.fingerprint(), model_.directory())) {}

Sequence::Sequence(const Sequence& parent, std::unique_ptr<SequenceState> state)
    : model_(parent.model_),
      capacity_(parent.capacity_),
      length_(state->length()),
      state_(std::move(state)) {}

void Sequence::enqueue(Work work) {
  StepLoop& loop = *model_.loop_;
  {
    const std::lock_guard lock(loop.mutex_);
    if (!state_ || disposing_ || loop.stopping_) {
      throw Error(ErrorCode::kState, "This sequence is disposed; create another.");
    }
    work.epoch = epoch_;
    if (!current_ && queue_.empty()) loop.busy_.push_back(shared_from_this());
    queue_.push_back(std::move(work));
  }
  loop.wake_.notify_one();
}

SequenceState& Sequence::idle_state() {
  if (!state_ || disposing_) {
    throw Error(ErrorCode::kState, "This sequence is disposed; create another.");
  }
  if (current_ || !queue_.empty()) {
    throw Error(ErrorCode::kState, "This sequence has a call running; await it first.");
  }
  return *state_;
}

std::vector<int32_t> Sequence::tokens() {
  const std::lock_guard lock(model_.loop_->mutex_);
  return idle_state().tokens;
}

std::vector<float> Sequence::logits() {
  const std::lock_guard lock(model_.loop_->mutex_);
  const SequenceState& state = idle_state();
  if (!state.has_logits) {
    throw Error(ErrorCode::kState, "There are no logits: prefill or step first.");
  }
  return read(state.logits());
}

std::vector<float> Sequence::hidden() {
  const std::lock_guard lock(model_.loop_->mutex_);
  const SequenceState& state = idle_state();
  if (!state.has_logits) {
    throw Error(ErrorCode::kState, "There is no hidden state: prefill or step first.");
  }
  return read(state.hidden());
}

std::vector<float> Sequence::read(const Tensor& tensor) {
  Memory& memory = model_.backend().memory();
  std::vector<float> numbers(static_cast<size_t>(tensor.columns));
  memory.download(numbers.data(), tensor.data, tensor.bytes());
  memory.synchronize();
  return numbers;
}

void Sequence::truncate(int64_t length) {
  const std::lock_guard lock(model_.loop_->mutex_);
  SequenceState& state = idle_state();
  if (length < 0 || length > state.length()) {
    throw Error(ErrorCode::kState, "A sequence of " + std::to_string(state.length()) +
                                       " tokens cannot be truncated to " + std::to_string(length) +
                                       ".");
  }
  state.truncate(length);
  length_ = length;
}

std::shared_ptr<Sequence> Sequence::fork() {
  const std::lock_guard lock(model_.loop_->mutex_);
  auto child = std::make_shared<Sequence>(*this, std::make_unique<SequenceState>(idle_state()));
  model_.adopt(child);
  return child;
}

void Sequence::cancel() {
  ++epoch_;
}

void Sequence::dispose() {
  std::unique_ptr<SequenceState> freed;
  const std::lock_guard lock(model_.loop_->mutex_);
  if (!current_ && queue_.empty()) {
    freed = std::move(state_);
  } else {
    disposing_ = true;
    ++epoch_;
  }
}

}  // namespace minicpm
