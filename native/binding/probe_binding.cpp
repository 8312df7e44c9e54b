#include "native/binding/probe_binding.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "kernels/cpu/probe.h"
#include "native/backend/buffer.h"
#include "native/binding/environment.h"
#include "native/binding/read.h"
#include "native/os/os.h"

namespace minicpm {
namespace {

constexpr int64_t kMaxProbeBytes = int64_t{1} << 36;

/// The median of what `pass` gives, called for `seconds`, at least three times.
template <typename Pass>
double median_over(double seconds, Pass pass) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<double> values;
  do {
    values.push_back(pass());
  } while (values.size() < 3 ||
           std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() <
               seconds);
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Measures on a thread of libuv's pool and on workers of its own.
class ProbeWorker : public Napi::AsyncWorker {
 public:
  ProbeWorker(Napi::Env env, int threads, std::string isa, size_t bytes, double seconds)
      : Napi::AsyncWorker(env),
        deferred_(env),
        threads_(threads),
        isa_(std::move(isa)),
        bytes_(bytes),
        seconds_(seconds) {}

  Napi::Value promise() const { return deferred_.Promise(); }

  void Execute() override {
    try {
      const CpuKernels& set = select_cpu_kernels(isa_.c_str());
      const Buffer memory(std::max(bytes_, kProbePiece));
      os::prefer_large_pages(memory.data(), memory.size());  // as packed weights have them
      const std::span<std::byte> bytes{memory.data(), memory.size()};
      fill_for_probe(bytes);
      Workers workers(threads_);
      bandwidth_ = median_over(seconds_, [&] { return read_bandwidth(bytes, workers); });
      peak_ = median_over(seconds_, [&] { return fma_peak(set, workers); });
      int8_peak_ = median_over(seconds_, [&] { return int8_peak(set, workers); });
    } catch (const Error& error) {
      error_ = std::make_unique<Error>(error);
    } catch (const std::exception& error) {
      error_ = std::make_unique<Error>(ErrorCode::kState, error.what());
    }
  }

  void OnOK() override {
    if (error_) return deferred_.Reject(js_error(Env(), *error_).Value());
    Napi::Object limits = Napi::Object::New(Env());
    limits.Set("bytesPerSecond", bandwidth_);
    limits.Set("flopsPerSecond", peak_);
    limits.Set("int8OpsPerSecond", int8_peak_);
    deferred_.Resolve(limits);
  }

 private:
  const Napi::Promise::Deferred deferred_;
  const int threads_;
  const std::string isa_;
  const size_t bytes_;
  const double seconds_;
  double bandwidth_ = 0;
  double peak_ = 0;
  double int8_peak_ = 0;
  std::unique_ptr<Error> error_;
};

}  // namespace

Napi::Value probe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto threads = static_cast<int>(read_integer_field(info[0], "threads", 1, 1024));
  const auto bytes = static_cast<size_t>(read_integer_field(info[0], "bytes", 1, kMaxProbeBytes));
  const Napi::Object options = info[0].As<Napi::Object>();
  const Napi::Value isa = options.Get("isa"), seconds = options.Get("seconds");
  if (!isa.IsString()) throw Napi::TypeError::New(env, "isa must be a string.");
  const double longest = seconds.IsNumber() ? seconds.As<Napi::Number>().DoubleValue() : -1;
  if (!(longest >= 0 && longest <= 60)) {
    throw Napi::TypeError::New(env, "seconds must be a number from 0 to 60.");
  }
  auto* worker = new ProbeWorker(env, threads, isa.As<Napi::String>().Utf8Value(), bytes, longest);
  const Napi::Value promise = worker->promise();
  worker->Queue();
  return promise;
}

}  // namespace minicpm
