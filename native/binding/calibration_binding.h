#pragma once

#include <napi.h>

#include <functional>
#include <memory>

#include "native/binding/tagged_wrap.h"
#include "native/quantize/calibration.h"

namespace minicpm {

/// NativeCalibration of src/native/binding.ts, which documents every method. Work runs on a thread
/// of libuv's pool.
class CalibrationBinding : public TaggedWrap<CalibrationBinding> {
 public:
  static constexpr napi_type_tag kTag{0x5a1f3c0de77b42d9, 0x9c46e8b1f20a6d35};

  static Napi::Function define(Napi::Env env);

  /// createCalibration(plan, tokens, options): NativeCalibration
  static Napi::Value create(const Napi::CallbackInfo& info);

  explicit CalibrationBinding(const Napi::CallbackInfo& info);
  ~CalibrationBinding() override;

 private:
  Napi::Value gather(const Napi::CallbackInfo& info);
  Napi::Value pack(const Napi::CallbackInfo& info);
  Napi::Value advance(const Napi::CallbackInfo& info);
  Napi::Value compare(const Napi::CallbackInfo& info);
  void cancel(const Napi::CallbackInfo& info);

  std::shared_ptr<Calibration> calibration_;
};

}  // namespace minicpm
