#include "native/binding/mailbox.h"

#include <algorithm>

namespace minicpm {
namespace {

using Letter = std::function<void(Napi::Env)>;

void deliver(napi_env env, napi_value /*function*/, void* /*context*/, void* data) {
  const std::unique_ptr<Letter> letter(static_cast<Letter*>(data));
  if (env == nullptr) return;  // the environment is gone
  try {
    (*letter)(Napi::Env(env));
  } catch (const Napi::Error& error) {  // a callback threw: as uncaught as in any event handler
    napi_fatal_exception(env, error.Value());
  }
}

const char* code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kShape:
      return "kShape";
    case ErrorCode::kCheckpoint:
      return "kCheckpoint";
    case ErrorCode::kOutOfMemory:
      return "kOutOfMemory";
    case ErrorCode::kDevice:
      return "kDevice";
    case ErrorCode::kContext:
      return "kContext";
    case ErrorCode::kStorage:
      return "kStorage";
    case ErrorCode::kState:
      return "kState";
  }
  return "";
}

}  // namespace

Mailbox::Mailbox(Napi::Env env) : env_(env) {
  const Napi::String name = Napi::String::New(env, "minicpm");
  if (napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, nullptr,
                                      deliver, &function_) != napi_ok ||
      napi_unref_threadsafe_function(env, function_) != napi_ok) {
    throw Napi::Error::New(env, "no thread-safe function could be made");
  }
  env.AddCleanupHook([](Mailbox* closing) { closing->close(); }, this);
}

void Mailbox::post(Letter letter) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  auto data = std::make_unique<Letter>(std::move(letter));
  if (napi_call_threadsafe_function(function_, data.get(), napi_tsfn_nonblocking) == napi_ok) {
    data.release();
  }
}

Call* Mailbox::begin(Napi::Env env, Napi::Object self, Napi::Value callback) {
  auto* call = new Call{Napi::Promise::Deferred::New(env), {}, {}};
  if (callback.IsFunction()) call->callback = Napi::Persistent(callback.As<Napi::Function>());
  if (!self.IsEmpty()) call->self = Napi::Persistent(self);
  if (calls_.empty()) napi_ref_threadsafe_function(env_, function_);
  calls_.insert(call);
  return call;
}

void Mailbox::resolve(Call* call, Napi::Value value) {
  call->deferred.Resolve(value);
  end(call);
}

void Mailbox::reject(Call* call, const Error& error) {
  call->deferred.Reject(js_error(env_, error).Value());
  end(call);
}

void Mailbox::end(Call* call) {
  calls_.erase(call);
  delete call;
  if (calls_.empty()) napi_unref_threadsafe_function(env_, function_);
}

void Mailbox::watch(const std::shared_ptr<Model>& model) {
  std::erase_if(models_, [](const auto& weak) { return weak.expired(); });
  models_.push_back(model);
}

void Mailbox::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  for (const auto& weak : models_) {
    if (const auto model = weak.lock()) model->close();
  }
  for (Call* call : calls_) delete call;
  calls_.clear();
}

Napi::Error js_error(Napi::Env env, const Error& error) {
  Napi::Error result = Napi::Error::New(env, error.what());
  Napi::Array fields = Napi::Array::New(env, error.fields.size());
  for (uint32_t i = 0; i < error.fields.size(); ++i) fields.Set(i, error.fields[i]);
  result.Set("nativeCode", Napi::String::New(env, code_name(error.code)));
  result.Set("fields", fields);
  return result;
}

}  // namespace minicpm
