// The way back to JavaScript: closures posted from any thread run on the thread of one environment.
#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <mutex>
#include <unordered_set>

#include "native/engine/model.h"

namespace minicpm {

/// What a promise under way holds of JavaScript. Made, used and freed on the JavaScript thread
/// only; other threads pass its address around.
struct Call {
  Napi::Promise::Deferred deferred;
  Napi::FunctionReference callback;  // progress or token events; may be empty
  Napi::ObjectReference self;        // keeps the object alive that the call is on
};

/// One an environment (main thread or worker). Keeps the process alive while calls are under way,
/// and no longer.
class Mailbox {
 public:
  explicit Mailbox(Napi::Env env);

  /// The closure may capture plain data and Call addresses only: at exit it is dropped on whatever
  /// thread.
  void post(std::function<void(Napi::Env)> letter);

  Call* begin(Napi::Env env, Napi::Object self, Napi::Value callback);
  void resolve(Call* call, Napi::Value value);
  void reject(Call* call, const Error& error);

  /// Closed with the environment, if it still lives then.
  void watch(const std::shared_ptr<Model>& model);

 private:
  void end(Call* call);
  void close();

  const napi_env env_;
  napi_threadsafe_function function_;
  std::mutex mutex_;  // of closed_
  bool closed_ = false;
  std::unordered_set<Call*> calls_;
  std::vector<std::weak_ptr<Model>> models_;
};

/// An Error as JavaScript gets it: `message`, `nativeCode` and `fields`
/// (src/native/error-table.ts).
Napi::Error js_error(Napi::Env env, const Error& error);

}  // namespace minicpm
