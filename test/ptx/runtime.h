// The state behind the stand-in's calls: errors, settings, streams, modules.
#pragma once

#include <cuda_runtime_api.h>

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "test/ptx/stand_in.h"

namespace minicpm::ptx {

using Clock = std::chrono::steady_clock;

struct Task {
  uint64_t number;  // of all tasks, in the order they were given
  std::function<void()> run;
};

struct Stream {
  bool blocking = true;  // waits for the default stream, and that for it
  std::deque<Task> tasks;
};

struct Event {
  Stream* stream = nullptr;  // where it was recorded last
  uint64_t number = 0;       // of that task; 0: never
  std::shared_ptr<Clock::time_point> reached = std::make_shared<Clock::time_point>();
};

/// PTX of one file, read when one of its kernels is first launched.
struct Module {
  std::string text;
  std::optional<Program> program;
};

struct HostFunction {
  Module* module;
  std::string kernel;
  unsigned most_dynamic_shared = 48 << 10;
};

class Runtime {
 public:
  Runtime();

  /// Every call that can fail begins with it: what it fails with, if the device is not there, an
  /// error sticks or a failure was asked for; `failure` is what the last of these is.
  cudaError_t begin(cudaError_t failure = cudaErrorUnknown);
  cudaError_t begin_allocation();
  /// Remembers the error for cudaGetLastError.
  cudaError_t end(cudaError_t error);
  /// A fault with its text.
  cudaError_t fault(cudaError_t error, const std::string& text);

  /// Work for a stream, now or when it is waited for.
  uint64_t give(Stream& stream, std::function<void()> run);
  /// Runs the stream's tasks up to the `last`.
  void finish(Stream& stream, uint64_t last = ~0ull);
  void finish_all();
  /// Whether the task has run; in a delay one more does at each question.
  bool ask(Stream& stream, uint64_t number);
  /// Null for a handle that is none.
  Stream* stream_of(cudaStream_t handle);

  /// The pinned host memory that holds all these bytes.
  bool is_pinned(const void* address, size_t bytes) const;

  std::recursive_mutex mutex;
  Settings settings;
  int calls = 0, allocations = 0;
  cudaError_t last = cudaSuccess, sticky = cudaSuccess;
  std::vector<std::string> faults;
  Stream legacy;
  std::set<Stream*> streams;
  std::set<Event*> events;
  std::map<const void*, size_t> pinned;
  std::vector<std::unique_ptr<Module>> modules;
  std::map<const void*, HostFunction> functions;

 private:
  uint64_t next_ = 0;
};

Runtime& runtime();
/// What the environment says.
Settings settings_of_environment();

/// Calls that take turns: `auto& cuda = locked.runtime`.
struct Locked {
  Runtime& runtime = ptx::runtime();
  std::lock_guard<std::recursive_mutex> guard{runtime.mutex};
};

}  // namespace minicpm::ptx
