#pragma once

#include <napi.h>

#include <memory>

#include "native/binding/tagged_wrap.h"
#include "native/engine/model.h"

namespace minicpm {

/// NativeModel of src/native/binding.ts, which documents every method.
class ModelBinding : public TaggedWrap<ModelBinding> {
 public:
  static constexpr napi_type_tag kTag{0x3cedfedb74c85489, 0x58e6bc01c6809700};

  static Napi::Function define(Napi::Env env);

  /// loadModel(plan, onProgress?): Promise<NativeModel>, loaded off the JavaScript thread.
  static Napi::Value load(const Napi::CallbackInfo& info);

  explicit ModelBinding(const Napi::CallbackInfo& info);
  ~ModelBinding() override;

 private:
  Napi::Value device(const Napi::CallbackInfo& info);
  Napi::Value isa(const Napi::CallbackInfo& info);
  Napi::Value threads(const Napi::CallbackInfo& info);
  Napi::Value ops_started(const Napi::CallbackInfo& info);
  Napi::Value fingerprint(const Napi::CallbackInfo& info);
  Napi::Value cache_status(const Napi::CallbackInfo& info);
  Napi::Value spill_status(const Napi::CallbackInfo& info);
  Napi::Value create_sequence(const Napi::CallbackInfo& info);
  Napi::Value memory_plan(const Napi::CallbackInfo& info);
  void start_profile(const Napi::CallbackInfo& info);
  Napi::Value stop_profile(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);

  std::shared_ptr<Model> model_;
  std::string isa_;
  int threads_;
  bool disposed_ = false;
};

/// memoryPlan's result for { capacity, sequences }.
Napi::Value memory_plan_of(const ModelPlan& plan, const Napi::Value& options);

}  // namespace minicpm
