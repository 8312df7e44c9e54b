#include "native/binding/on_pool.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "native/binding/environment.h"

namespace minicpm {
namespace {

class PoolWorker : public Napi::AsyncWorker {
 public:
  PoolWorker(Napi::Env env, std::function<Resolve()> work)
      : Napi::AsyncWorker(env), deferred_(env), work_(std::move(work)) {}

  Napi::Value promise() const { return deferred_.Promise(); }

  void Execute() override {
    try {
      resolve_ = work_();
    } catch (const Error& error) {
      error_ = std::make_unique<Error>(error);
    } catch (const std::bad_alloc&) {
      error_ = std::make_unique<Error>(out_of_memory());
    } catch (const std::exception& error) {
      error_ = std::make_unique<Error>(ErrorCode::kState, error.what());
    }
  }

  void OnOK() override {
    if (error_) return deferred_.Reject(js_error(Env(), *error_).Value());
    deferred_.Resolve(resolve_(Env()));
  }

 private:
  const Napi::Promise::Deferred deferred_;
  const std::function<Resolve()> work_;
  Resolve resolve_;
  std::unique_ptr<Error> error_;
};

}  // namespace

Napi::Value on_pool(Napi::Env env, std::function<Resolve()> work) {
  auto* worker = new PoolWorker(env, std::move(work));
  const Napi::Value promise = worker->promise();
  worker->Queue();
  return promise;
}

Resolve bytes_of(Buffer buffer) {
  auto bytes = std::make_shared<Buffer>(std::move(buffer));
  return [bytes](Napi::Env env) -> Napi::Value {
    Napi::Uint8Array result = Napi::Uint8Array::New(env, bytes->size());
    std::copy_n(bytes->as<uint8_t>(), bytes->size(), result.Data());
    return result;
  };
}

}  // namespace minicpm
