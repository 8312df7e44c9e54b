// A small model with seeded random weights in a temporary file, listeners that wait, and tests that
// run on each kind of memory.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "native/engine/model.h"
#include "native/engine/sequence.h"
#include "test/kernels/test.h"

/// A test of the engine with a `device`, whose memory is the host's, then with one whose memory the
/// host must not touch.
#define TEST_ON_DEVICES(sentence)                                              \
  static void MINICPM_JOIN(test_, __LINE__)(const std::string& device);        \
  static const ::minicpm::test::Registration MINICPM_JOIN(host_, __LINE__)(    \
      sentence, __FILE__, [] {                                                 \
        MINICPM_JOIN(test_, __LINE__)                                          \
        ("cpu");                                                               \
      });                                                                      \
  static const ::minicpm::test::Registration MINICPM_JOIN(guarded_, __LINE__)( \
      sentence " (guarded)", __FILE__, [] {                                    \
        MINICPM_JOIN(test_, __LINE__)                                          \
        ("guarded");                                                           \
      });                                                                      \
  static void MINICPM_JOIN(test_, __LINE__)(const std::string& device)

namespace minicpm::test {

/// A file that is removed with the object.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::vector<std::byte>& content);
  ~TemporaryFile();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct TinyModel {
  /// 2 layers, 4 heads on 2 KV heads, hidden 64, vocabulary 96, f32 weights; matrices whose names
  /// have `quantized` in them are stored as Q8_0. On "guarded" the reference runs them in memory
  /// that the host must not touch (guarded_backend.h).
  explicit TinyModel(const std::string& device, int threads = 1,
                     std::optional<SparseRule> sparse = std::nullopt, const Packing& packing = {},
                     DType activations = DType::f32, const std::string& isa = "",
                     const std::string& quantized = "none");

  /// Another model of the plan as it is now.
  std::shared_ptr<Model> load() const;

  std::unique_ptr<TemporaryFile> file;
  ModelPlan plan;
  std::function<std::unique_ptr<Backend>()> backend;  // empty: the plan's device has one
  std::shared_ptr<Model> model;
};

/// What a piece of work came to. Waits without allocating.
class Waiter {
 public:
  /// Blocks until the work has ended; rethrows its error.
  Outcome wait();

  std::vector<int32_t> tokens;
  std::vector<float> numbers;
  std::vector<int64_t> progress;
  int64_t cached = 0;

  std::unique_ptr<WorkListener> listener();

  /// The engine thread waits with its first tokens until `release`: work on which a test calls
  /// cannot have ended before.
  void hold();
  void release();

 private:
  class Listener;
  std::mutex mutex_;
  std::condition_variable ended_, released_;
  bool held_ = false;
  std::optional<Outcome> outcome_;
  std::optional<Error> error_;
};

/// Tokens 0..vocabulary, seeded.
std::vector<int32_t> random_tokens(int count, uint32_t seed);

/// Runs work to its end.
Outcome prefill(Sequence& sequence, std::vector<int32_t> tokens);
std::vector<int32_t> decode(Sequence& sequence, int64_t count, SamplingOptions sampling = {});

}  // namespace minicpm::test
