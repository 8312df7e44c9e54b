#include "native/binding/calibration_binding.h"

#include <string>
#include <utility>

#include "native/binding/environment.h"
#include "native/binding/on_pool.h"
#include "native/binding/read.h"
#include "native/binding/value.h"

namespace minicpm {
namespace {

Napi::Value nothing(Napi::Env env) {
  return env.Undefined();
}

Calibration::Site read_site(const Napi::Value& value) {
  const std::string name = read_text(value, "site");
  if (name == "attention") return Calibration::Site::attention;
  if (name == "attentionOut") return Calibration::Site::attention_out;
  if (name == "mlp") return Calibration::Site::mlp;
  if (name == "mlpOut") return Calibration::Site::mlp_out;
  value::throw_type_error(value.Env(), "site", "attention, attentionOut, mlp or mlpOut");
}

/// A plan of one layer.
ModelPlan read_layer(const Napi::Value& value) {
  ModelPlan plan = read_model_plan(value);
  if (plan.config.layers != 1) value::throw_type_error(value.Env(), "layers", "1");
  return plan;
}

}  // namespace

Napi::Function CalibrationBinding::define(Napi::Env env) {
  return DefineClass(env, "NativeCalibration",
                     {
                         InstanceMethod<&CalibrationBinding::gather>("gather"),
                         InstanceMethod<&CalibrationBinding::pack>("pack"),
                         InstanceMethod<&CalibrationBinding::advance>("advance"),
                         InstanceMethod<&CalibrationBinding::compare>("compare"),
                         InstanceMethod<&CalibrationBinding::cancel>("cancel"),
                     });
}

Napi::Value CalibrationBinding::create(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  ModelPlan plan = read_layer(info[0]);
  std::vector<int32_t> tokens = read_tokens(info[1], "tokens", plan.config.vocab_size);
  const Napi::Object from = value::object(info[2], "options");
  const CalibrationOptions options{
      .window = value::integer(from, "window", 32, MiniCpm4::kMaxRows),
      .even_out = from.Get("evenOut").ToBoolean(),
      .held_out = value::integer(from, "heldOut", 0, 1 << 20),
      .damping = static_cast<float>(value::number(from, "damping")),
  };
  return throwing_js(env, [&] {
    auto calibration = std::make_shared<Calibration>(std::move(plan), std::move(tokens), options);
    return Environment::of(env).calibration_class.New(
        {Napi::External<std::shared_ptr<Calibration>>::New(env, &calibration)});
  });
}

CalibrationBinding::CalibrationBinding(const Napi::CallbackInfo& info)
    : TaggedWrap<CalibrationBinding>(info) {
  if (!info[0].IsExternal()) {
    throw Napi::TypeError::New(info.Env(), "Calibrations are made by createCalibration.");
  }
  calibration_ = *info[0].As<Napi::External<std::shared_ptr<Calibration>>>().Data();
}

CalibrationBinding::~CalibrationBinding() {
  if (calibration_) calibration_->cancel();
}

// gather(layer, site): Promise<void>
Napi::Value CalibrationBinding::gather(const Napi::CallbackInfo& info) {
  return on_pool(info.Env(),
                 [calibration = calibration_, layer = read_layer(info[0]),
                  site = read_site(info[1])]() -> Resolve {
                   calibration->gather(layer, site);
                   return nothing;
                 });
}

// pack(file, weight, packing): Promise<Uint8Array>
Napi::Value CalibrationBinding::pack(const Napi::CallbackInfo& info) {
  return on_pool(
      info.Env(),
      [calibration = calibration_, file = read_weight_file(info[0]),
       source = read_plain_source(info[1]), packing = read_packing(info[2])]() -> Resolve {
        return bytes_of(calibration->pack(file, source, packing));
      });
}

// advance(packed, source): Promise<void>
Napi::Value CalibrationBinding::advance(const Napi::CallbackInfo& info) {
  return on_pool(info.Env(),
                 [calibration = calibration_, packed = read_layer(info[0]),
                  source = read_layer(info[1])]() -> Resolve {
                   calibration->advance(packed, source);
                   return nothing;
                 });
}

// compare(packed, source): Promise<{ tokens, sourceNll, packedNll, kl, sameBest }>
Napi::Value CalibrationBinding::compare(const Napi::CallbackInfo& info) {
  return on_pool(info.Env(),
                 [calibration = calibration_, packed = read_layer(info[0]),
                  source = read_layer(info[1])]() -> Resolve {
                   const Comparison comparison = calibration->compare(packed, source);
                   return [comparison](Napi::Env env) -> Napi::Value {
                     Napi::Object result = Napi::Object::New(env);
                     result.Set("tokens", static_cast<double>(comparison.tokens));
                     result.Set("sourceNll", comparison.source_nll);
                     result.Set("packedNll", comparison.packed_nll);
                     result.Set("kl", comparison.kl);
                     result.Set("sameBest", static_cast<double>(comparison.same_best));
                     return result;
                   };
                 });
}

void CalibrationBinding::cancel(const Napi::CallbackInfo&) {
  calibration_->cancel();
}

}  // namespace minicpm
