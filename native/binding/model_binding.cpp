#include "native/binding/model_binding.h"

#include <limits>

#include "native/binding/environment.h"
#include "native/binding/read.h"
#include "native/binding/sequence_binding.h"

namespace minicpm {
namespace {

constexpr int64_t kMaxCapacity = std::numeric_limits<int32_t>::max();

/// Runs on a thread of libuv's pool, then resolves on the JavaScript thread.
class LoadWorker : public Napi::AsyncWorker {
 public:
  LoadWorker(Napi::Env env, ModelPlan plan, Napi::Value on_progress)
      : Napi::AsyncWorker(env),
        mailbox_(Environment::of(env).mailbox),
        plan_(std::move(plan)),
        call_(mailbox_.begin(env, {}, on_progress)) {}

  Napi::Value promise() const { return call_->deferred.Promise(); }

  void Execute() override {
    try {
      model_ = std::make_shared<Model>(plan_, [this](int64_t done, int64_t total) {
        if (done == total || done - told_ >= total / 100) tell(done, total);
        return true;
      });
    } catch (const Error& error) {
      error_ = std::make_unique<Error>(error);
    } catch (const std::exception& error) {
      error_ = std::make_unique<Error>(ErrorCode::kState, error.what());
    }
  }

  /// By the mailbox too: progress letters may still lie in it, and they use the call.
  void OnOK() override {
    if (error_) {
      return mailbox_.post([&mailbox = mailbox_, call = call_, error = *error_](Napi::Env) {
        mailbox.reject(call, error);
      });
    }
    mailbox_.post([&mailbox = mailbox_, call = call_, model = model_](Napi::Env env) mutable {
      mailbox.watch(model);
      mailbox.resolve(call, Environment::of(env).model_class.New(
                                {Napi::External<std::shared_ptr<Model>>::New(env, &model)}));
    });
  }

 private:
  void tell(int64_t done, int64_t total) {
    told_ = done;
    mailbox_.post([call = call_, done, total](Napi::Env env) {
      if (call->callback.IsEmpty()) return;
      call->callback.Call({Napi::Number::New(env, static_cast<double>(done)),
                           Napi::Number::New(env, static_cast<double>(total))});
    });
  }

  Mailbox& mailbox_;
  const ModelPlan plan_;
  Call* const call_;
  int64_t told_ = 0;
  std::shared_ptr<Model> model_;
  std::unique_ptr<Error> error_;
};

/// Closing waits for running work: not on the JavaScript thread.
class CloseWorker : public Napi::AsyncWorker {
 public:
  CloseWorker(Napi::Env env, std::shared_ptr<Model> model)
      : Napi::AsyncWorker(env), model_(std::move(model)), deferred_(env) {}

  Napi::Value promise() const { return deferred_.Promise(); }
  void Execute() override { model_->close(); }
  void OnOK() override { deferred_.Resolve(Env().Undefined()); }

 private:
  const std::shared_ptr<Model> model_;
  const Napi::Promise::Deferred deferred_;
};

}  // namespace

Napi::Function ModelBinding::define(Napi::Env env) {
  return DefineClass(env, "NativeModel",
                     {
                         InstanceAccessor<&ModelBinding::device>("device"),
                         InstanceAccessor<&ModelBinding::isa>("isa"),
                         InstanceAccessor<&ModelBinding::threads>("threads"),
                         InstanceAccessor<&ModelBinding::ops_started>("opsStarted"),
                         InstanceAccessor<&ModelBinding::fingerprint>("fingerprint"),
                         InstanceMethod<&ModelBinding::cache_status>("cacheStatus"),
                         InstanceMethod<&ModelBinding::spill_status>("spillStatus"),
                         InstanceMethod<&ModelBinding::create_sequence>("createSequence"),
                         InstanceMethod<&ModelBinding::memory_plan>("memoryPlan"),
                         InstanceMethod<&ModelBinding::start_profile>("startProfile"),
                         InstanceMethod<&ModelBinding::stop_profile>("stopProfile"),
                         InstanceMethod<&ModelBinding::dispose>("dispose"),
                     });
}

Napi::Value ModelBinding::load(const Napi::CallbackInfo& info) {
  auto* worker = new LoadWorker(info.Env(), read_model_plan(info[0]), info[1]);
  const Napi::Value promise = worker->promise();
  worker->Queue();
  return promise;
}

ModelBinding::ModelBinding(const Napi::CallbackInfo& info) : TaggedWrap<ModelBinding>(info) {
  if (!info[0].IsExternal()) {
    throw Napi::TypeError::New(info.Env(), "Models are made by loadModel.");
  }
  model_ = *info[0].As<Napi::External<std::shared_ptr<Model>>>().Data();
  isa_ = model_->backend().isa();
  threads_ = model_->backend().threads();
}

ModelBinding::~ModelBinding() {
  if (model_) model_->close();
}

Napi::Value ModelBinding::device(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), model_->plan().device);
}

Napi::Value ModelBinding::isa(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), isa_);
}

Napi::Value ModelBinding::threads(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), threads_);
}

Napi::Value ModelBinding::ops_started(const Napi::CallbackInfo& info) {
  const int64_t ops = disposed_ ? 0 : model_->ops_started();
  return Napi::Number::New(info.Env(), static_cast<double>(ops));
}

Napi::Value ModelBinding::fingerprint(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), model_->fingerprint());
}

// cacheStatus(): { folder, written, read, wrong, problem } | undefined
Napi::Value ModelBinding::cache_status(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (disposed_ || model_->directory() == nullptr) return env.Undefined();
  const BlockDirectory::Status status = model_->directory()->status();
  Napi::Object result = Napi::Object::New(env);
  result.Set("folder", model_->directory()->folder());
  result.Set("written", static_cast<double>(status.written));
  result.Set("read", static_cast<double>(status.read));
  result.Set("wrong", static_cast<double>(status.wrong));
  result.Set("problem", status.problem);
  return result;
}

// spillStatus(): SpillStatus | undefined
Napi::Value ModelBinding::spill_status(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const KvSpill* spill = disposed_ ? nullptr : model_->store().spill();
  if (spill == nullptr) return env.Undefined();
  const KvSpill::Status status = spill->status();
  Napi::Object result = Napi::Object::New(env);
  result.Set("folder", status.path);
  result.Set("capacityBytes", static_cast<double>(status.capacity_bytes));
  result.Set("fileBytes", static_cast<double>(status.file_bytes));
  result.Set("hits", static_cast<double>(status.hits));
  result.Set("misses", static_cast<double>(status.misses));
  result.Set("bytesRead", static_cast<double>(status.bytes_read));
  result.Set("bytesWritten", static_cast<double>(status.bytes_written));
  result.Set("readSeconds", status.read_seconds);
  result.Set("problem", status.problem);
  return result;
}

// createSequence({ capacity }): NativeSequence
Napi::Value ModelBinding::create_sequence(const Napi::CallbackInfo& info) {
  const int64_t capacity = read_integer_field(info[0], "capacity", 1, kMaxCapacity);
  return throwing_js(info.Env(), [&] {
    if (disposed_) throw Error(ErrorCode::kState, "This model is disposed; load it again.");
    return SequenceBinding::create(Value(), {model_, model_->create_sequence(capacity)});
  });
}

Napi::Value ModelBinding::memory_plan(const Napi::CallbackInfo& info) {
  return memory_plan_of(model_->plan(), info[0]);
}

void ModelBinding::start_profile(const Napi::CallbackInfo&) {
  if (!disposed_) model_->start_profile();
}

// stopProfile(): { [op]: { calls, seconds, bytes } }
Napi::Value ModelBinding::stop_profile(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Object result = Napi::Object::New(env);
  if (disposed_) return result;
  const auto counts = model_->stop_profile();
  for (int i = 0; i < kOpKinds; ++i) {
    const OpProfile::Count& count = counts[static_cast<size_t>(i)];
    Napi::Object of_kind = Napi::Object::New(env);
    of_kind.Set("calls", static_cast<double>(count.calls));
    of_kind.Set("seconds", static_cast<double>(count.nanoseconds) / 1e9);
    of_kind.Set("bytes", static_cast<double>(count.bytes));
    result.Set(std::string(name_of(static_cast<OpKind>(i))), of_kind);
  }
  return result;
}

Napi::Value ModelBinding::dispose(const Napi::CallbackInfo& info) {
  disposed_ = true;
  auto* worker = new CloseWorker(info.Env(), model_);
  const Napi::Value promise = worker->promise();
  worker->Queue();
  return promise;
}

Napi::Value memory_plan_of(const ModelPlan& plan, const Napi::Value& options) {
  const int64_t capacity = read_integer_field(options, "capacity", 1, kMaxCapacity);
  const int64_t sequences = read_integer_field(options, "sequences", 0, kMaxCapacity);
  const MemoryPlan memory =
      throwing_js(options.Env(), [&] { return plan_memory(plan, capacity, sequences); });
  Napi::Object result = Napi::Object::New(options.Env());
  const auto set = [&](const char* name, int64_t bytes) {
    result.Set(name, Napi::Number::New(options.Env(), static_cast<double>(bytes)));
  };
  set("mapped", memory.mapped);
  set("weights", memory.weights);
  set("kv", memory.kv);
  set("activations", memory.activations);
  set("total", memory.mapped + memory.weights + memory.kv + memory.activations);
  return result;
}

}  // namespace minicpm
