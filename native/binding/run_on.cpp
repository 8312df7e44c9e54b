#include "native/binding/run_on.h"

#include <algorithm>

namespace minicpm {
namespace {

/// A TokenEvent's content, on its way between threads.
struct OwnedEvent {
  std::vector<int32_t> tokens;
  std::vector<float> log_probs;
  std::vector<TokenLogProb> top;

  explicit OwnedEvent(const TokenEvent& event)
      : tokens(event.tokens.begin(), event.tokens.end()),
        log_probs(event.log_probs.begin(), event.log_probs.end()),
        top(event.top.begin(), event.top.end()) {}
};

template <typename Array, typename T>
Array copy_to_js(Napi::Env env, const std::vector<T>& values) {
  Array array = Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

Napi::Object to_js(Napi::Env env, const OwnedEvent& event) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("tokens", copy_to_js<Napi::Int32Array>(env, event.tokens));
  if (event.log_probs.empty()) return result;
  result.Set("logprobs", copy_to_js<Napi::Float32Array>(env, event.log_probs));
  auto tokens = Napi::Int32Array::New(env, event.top.size());
  auto log_probs = Napi::Float32Array::New(env, event.top.size());
  for (size_t i = 0; i < event.top.size(); ++i) {
    tokens[i] = event.top[i].token;
    log_probs[i] = event.top[i].log_prob;
  }
  result.Set("topTokens", tokens);
  result.Set("topLogprobs", log_probs);
  return result;
}

class PromiseListener : public WorkListener {
 public:
  PromiseListener(Mailbox& mailbox, Call* call, Resolution resolution)
      : mailbox_(mailbox), call_(call), resolution_(resolution) {}

  void progress(int64_t done, int64_t cached) override {
    mailbox_.post([call = call_, done, cached](Napi::Env env) {
      if (!call->callback.IsEmpty()) {
        call->callback.Call({Napi::Number::New(env, static_cast<double>(done)),
                             Napi::Number::New(env, static_cast<double>(cached))});
      }
    });
  }

  void tokens(const TokenEvent& event) override {
    auto owned = std::make_shared<const OwnedEvent>(event);
    if (resolution_ == Resolution::token_event) {
      sampled_ = std::move(owned);
      return;
    }
    mailbox_.post([call = call_, owned = std::move(owned)](Napi::Env env) {
      if (!call->callback.IsEmpty()) call->callback.Call({to_js(env, *owned)});
    });
  }

  void finished(Outcome outcome, std::span<const float> numbers) override {
    if (outcome == Outcome::cancelled && resolution_ != Resolution::outcome) {
      return failed(Error(ErrorCode::kState, "The call was cancelled."));
    }
    std::vector<float> owned(numbers.begin(), numbers.end());
    mailbox_.post([&mailbox = mailbox_, call = call_, outcome, resolution = resolution_,
                   sampled = sampled_, owned = std::move(owned)](Napi::Env env) {
      switch (resolution) {
        case Resolution::outcome:
          return mailbox.resolve(call, Napi::String::New(env, std::string(name_of(outcome))));
        case Resolution::token_event:
          return mailbox.resolve(call, to_js(env, *sampled));
        case Resolution::numbers:
          return mailbox.resolve(call, copy_to_js<Napi::Float32Array>(env, owned));
      }
    });
  }

  void failed(const Error& error) override {
    mailbox_.post(
        [&mailbox = mailbox_, call = call_, error](Napi::Env) { mailbox.reject(call, error); });
  }

 private:
  Mailbox& mailbox_;
  Call* const call_;
  const Resolution resolution_;
  std::shared_ptr<const OwnedEvent> sampled_;
};

}  // namespace

std::unique_ptr<WorkListener> promise_listener(Mailbox& mailbox, Call* call,
                                               Resolution resolution) {
  return std::make_unique<PromiseListener>(mailbox, call, resolution);
}

}  // namespace minicpm
