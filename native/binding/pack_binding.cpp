#include "native/binding/pack_binding.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "native/binding/environment.h"
#include "native/binding/read.h"

namespace minicpm {
namespace {

/// Packs on a thread of libuv's pool and on workers of its own.
class PackWorker : public Napi::AsyncWorker {
 public:
  PackWorker(Napi::Env env, WeightFile file, WeightSource source, Packing packing, RowRange rows,
             int threads)
      : Napi::AsyncWorker(env),
        deferred_(env),
        file_(std::move(file)),
        source_(std::move(source)),
        packing_(packing),
        rows_(rows),
        threads_(threads) {}

  Napi::Value promise() const { return deferred_.Promise(); }

  void Execute() override {
    try {
      const auto backend = make_cpu_backend(threads_, "");
      bytes_ = pack_rows(file_, source_, packing_, rows_, *backend);
    } catch (const Error& error) {
      error_ = std::make_unique<Error>(error);
    } catch (const std::exception& error) {
      error_ = std::make_unique<Error>(ErrorCode::kState, error.what());
    }
  }

  void OnOK() override {
    if (error_) return deferred_.Reject(js_error(Env(), *error_).Value());
    Napi::Uint8Array result = Napi::Uint8Array::New(Env(), bytes_.size());
    std::copy_n(bytes_.as<uint8_t>(), bytes_.size(), result.Data());
    deferred_.Resolve(result);
  }

 private:
  const Napi::Promise::Deferred deferred_;
  const WeightFile file_;
  const WeightSource source_;
  const Packing packing_;
  const RowRange rows_;
  const int threads_;
  Buffer bytes_;
  std::unique_ptr<Error> error_;
};

}  // namespace

Napi::Value pack_weight_rows(const Napi::CallbackInfo& info) {
  WeightSource source = read_weight_source(info[1]);
  const int64_t first = read_integer_field(info[2], "firstRow", 0, source.rows - 1);
  if (first % 16 != 0) throw Napi::TypeError::New(info.Env(), "firstRow must be a multiple of 16.");
  const RowRange rows{first, read_integer_field(info[2], "rows", 1, source.rows - first)};
  const auto threads = static_cast<int>(read_integer_field(info[2], "threads", 1, 1024));
  auto* worker = new PackWorker(info.Env(), read_weight_file(info[0]), std::move(source),
                                read_packing(info[2]), rows, threads);
  const Napi::Value promise = worker->promise();
  worker->Queue();
  return promise;
}

}  // namespace minicpm
