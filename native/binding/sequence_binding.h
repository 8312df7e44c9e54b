#pragma once

#include <napi.h>

#include <memory>

#include "native/binding/tagged_wrap.h"
#include "native/engine/model.h"
#include "native/engine/sequence.h"

namespace minicpm {

/// NativeSequence of src/native/binding.ts, which documents every method.
class SequenceBinding : public TaggedWrap<SequenceBinding> {
 public:
  static constexpr napi_type_tag kTag{0x523a006b29b974e6, 0x9cc12384618c0982};

  static Napi::Function define(Napi::Env env);
  /// A sequence and the model it belongs to, which must outlive it.
  struct Held {
    std::shared_ptr<Model> model;
    std::shared_ptr<Sequence> sequence;
  };

  /// `model` is the JavaScript object the sequence was made by; it stays alive as long as the
  /// sequence.
  static Napi::Object create(Napi::Object model, Held held);

  explicit SequenceBinding(const Napi::CallbackInfo& info);
  ~SequenceBinding() override;

 private:
  Napi::Value prefill_for_numbers(const Napi::CallbackInfo& info, PrefillWork::Also also);

  Napi::Value length(const Napi::CallbackInfo& info);
  Napi::Value capacity(const Napi::CallbackInfo& info);
  Napi::Value tokens(const Napi::CallbackInfo& info);
  Napi::Value prefill(const Napi::CallbackInfo& info);
  Napi::Value decode(const Napi::CallbackInfo& info);
  Napi::Value step(const Napi::CallbackInfo& info);
  Napi::Value sample(const Napi::CallbackInfo& info);
  Napi::Value score(const Napi::CallbackInfo& info);
  Napi::Value mean_hidden(const Napi::CallbackInfo& info);
  Napi::Value logits(const Napi::CallbackInfo& info);
  Napi::Value hidden(const Napi::CallbackInfo& info);
  Napi::Value save(const Napi::CallbackInfo& info);
  Napi::Value fill_for_bench(const Napi::CallbackInfo& info);
  void truncate(const Napi::CallbackInfo& info);
  Napi::Value fork(const Napi::CallbackInfo& info);
  void cancel(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  Held held_;
  Sequence* sequence_ = nullptr;  // held_'s
  Napi::ObjectReference model_object_;
  int vocab_size_;
};

}  // namespace minicpm
