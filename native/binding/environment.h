// What one JavaScript environment (the main thread or a worker) holds of the addon.
#pragma once

#include <napi.h>

#include <memory>

#include "native/binding/mailbox.h"

namespace minicpm {

struct Environment {
  explicit Environment(Napi::Env env) : mailbox(env) {}
  static Environment& of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

  Mailbox mailbox;
  Napi::FunctionReference model_class;
  Napi::FunctionReference sequence_class;
  Napi::FunctionReference calibration_class;
};

/// Runs `action`, turning an Error into the exception JavaScript gets.
template <typename Action>
auto throwing_js(Napi::Env env, Action action) {
  try {
    return action();
  } catch (const Error& error) {
    throw js_error(env, error);
  } catch (const std::bad_alloc&) {
    throw js_error(env, out_of_memory());
  }
}

}  // namespace minicpm
