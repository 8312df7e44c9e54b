#include "native/binding/sequence_binding.h"

#include <algorithm>

#include "native/binding/environment.h"
#include "native/binding/read.h"
#include "native/binding/run_on.h"

namespace minicpm {
namespace {

template <typename Array, typename T>
Napi::Value copied(Napi::Env env, const std::vector<T>& values) {
  Array array = Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

}  // namespace

Napi::Function SequenceBinding::define(Napi::Env env) {
  return DefineClass(env, "NativeSequence",
                     {
                         InstanceAccessor<&SequenceBinding::length>("length"),
                         InstanceAccessor<&SequenceBinding::capacity>("capacity"),
                         InstanceMethod<&SequenceBinding::tokens>("tokens"),
                         InstanceMethod<&SequenceBinding::prefill>("prefill"),
                         InstanceMethod<&SequenceBinding::decode>("decode"),
                         InstanceMethod<&SequenceBinding::step>("step"),
                         InstanceMethod<&SequenceBinding::sample>("sample"),
                         InstanceMethod<&SequenceBinding::score>("score"),
                         InstanceMethod<&SequenceBinding::mean_hidden>("meanHidden"),
                         InstanceMethod<&SequenceBinding::logits>("logits"),
                         InstanceMethod<&SequenceBinding::hidden>("hidden"),
                         InstanceMethod<&SequenceBinding::save>("save"),
                         InstanceMethod<&SequenceBinding::fill_for_bench>("fillForBench"),
                         InstanceMethod<&SequenceBinding::truncate>("truncate"),
                         InstanceMethod<&SequenceBinding::fork>("fork"),
                         InstanceMethod<&SequenceBinding::cancel>("cancel"),
                         InstanceMethod<&SequenceBinding::dispose>("dispose"),
                     });
}

Napi::Object SequenceBinding::create(Napi::Object model, Held held) {
  const Napi::Env env = model.Env();
  return Environment::of(env).sequence_class.New({Napi::External<Held>::New(env, &held), model});
}

SequenceBinding::SequenceBinding(const Napi::CallbackInfo& info)
    : TaggedWrap<SequenceBinding>(info) {
  if (!info[0].IsExternal()) {
    throw Napi::TypeError::New(info.Env(), "Sequences are made by NativeModel.createSequence.");
  }
  held_ = *info[0].As<Napi::External<Held>>().Data();
  sequence_ = held_.sequence.get();
  model_object_ = Napi::Persistent(info[1].As<Napi::Object>());
  vocab_size_ = sequence_->model().config().vocab_size;
}

SequenceBinding::~SequenceBinding() {
  if (sequence_) sequence_->dispose();
}

Napi::Value SequenceBinding::length(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(sequence_->length()));
}

Napi::Value SequenceBinding::capacity(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(sequence_->capacity()));
}

Napi::Value SequenceBinding::tokens(const Napi::CallbackInfo& info) {
  return throwing_js(info.Env(),
                     [&] { return copied<Napi::Int32Array>(info.Env(), sequence_->tokens()); });
}

// prefill(tokens, onProgress?, folder?): Promise<"done" | "cancelled">
Napi::Value SequenceBinding::prefill(const Napi::CallbackInfo& info) {
  PrefillWork work{.tokens = read_tokens(info[0], "tokens", vocab_size_),
                   .folder = read_text(info[2], "folder")};
  return run_on(*sequence_, Value(), std::move(work), info[1]);
}

// decode({ count, stopTokens, sampling }, onTokens): Promise<StopReason>
Napi::Value SequenceBinding::decode(const Napi::CallbackInfo& info) {
  DecodeWork work{
      .count = read_integer_field(info[0], "count", 0, int64_t{1} << 31),
      .stop_tokens = read_tokens_field(info[0], "stopTokens", vocab_size_),
      .sampling = read_sampling(info[0].As<Napi::Object>().Get("sampling"), vocab_size_),
  };
  return run_on(*sequence_, Value(), std::move(work), info[1]);
}

// step(): Promise<"done" | "cancelled">
Napi::Value SequenceBinding::step(const Napi::CallbackInfo& info) {
  return run_on(*sequence_, Value(), StepWork{}, info.Env().Undefined());
}

// sample(sampling, mask?): Promise<TokenEvent>
Napi::Value SequenceBinding::sample(const Napi::CallbackInfo& info) {
  SampleWork work{.sampling = read_sampling(info[0], vocab_size_),
                  .mask = read_mask(info[1], vocab_size_)};
  return run_on(*sequence_, Value(), std::move(work), info.Env().Undefined(),
                Resolution::token_event);
}

// score(tokens): Promise<Float32Array>
Napi::Value SequenceBinding::score(const Napi::CallbackInfo& info) {
  return prefill_for_numbers(info, PrefillWork::Also::log_probs);
}

// meanHidden(tokens): Promise<Float32Array>
Napi::Value SequenceBinding::mean_hidden(const Napi::CallbackInfo& info) {
  return prefill_for_numbers(info, PrefillWork::Also::mean_hidden);
}

Napi::Value SequenceBinding::prefill_for_numbers(const Napi::CallbackInfo& info,
                                                 PrefillWork::Also also) {
  PrefillWork work{.tokens = read_tokens(info[0], "tokens", vocab_size_), .also = also};
  return run_on(*sequence_, Value(), std::move(work), info.Env().Undefined(), Resolution::numbers);
}

Napi::Value SequenceBinding::logits(const Napi::CallbackInfo& info) {
  return throwing_js(info.Env(),
                     [&] { return copied<Napi::Float32Array>(info.Env(), sequence_->logits()); });
}

Napi::Value SequenceBinding::hidden(const Napi::CallbackInfo& info) {
  return throwing_js(info.Env(),
                     [&] { return copied<Napi::Float32Array>(info.Env(), sequence_->hidden()); });
}

// save(folder, previous?): Promise<"done" | "cancelled">
Napi::Value SequenceBinding::save(const Napi::CallbackInfo& info) {
  SaveWork work{.folder = read_text(info[0], "folder"), .previous = read_text(info[1], "previous")};
  return run_on(*sequence_, Value(), std::move(work), info.Env().Undefined());
}

// fillForBench(length): Promise<"done" | "cancelled">
Napi::Value SequenceBinding::fill_for_bench(const Napi::CallbackInfo& info) {
  FillWork work{.length = read_integer(info[0], "length", 0, sequence_->capacity())};
  return run_on(*sequence_, Value(), work, info.Env().Undefined());
}

void SequenceBinding::truncate(const Napi::CallbackInfo& info) {
  const int64_t length = read_integer(info[0], "length", 0, sequence_->capacity());
  throwing_js(info.Env(), [&] { sequence_->truncate(length); });
}

// fork(): NativeSequence
Napi::Value SequenceBinding::fork(const Napi::CallbackInfo& info) {
  return throwing_js(info.Env(), [&] {
    return create(model_object_.Value(), {held_.model, sequence_->fork()});
  });
}

void SequenceBinding::cancel(const Napi::CallbackInfo&) {
  sequence_->cancel();
}

void SequenceBinding::dispose(const Napi::CallbackInfo&) {
  sequence_->dispose();
}

}  // namespace minicpm
