// A loaded model: weights, backend, forward pass, the pool of KV blocks, and the step loop that
// runs its sequences.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "native/backend/backend.h"
#include "native/engine/block_directory.h"
#include "native/engine/block_store.h"
#include "native/engine/step_loop.h"
#include "native/model/config.h"
#include "native/model/minicpm4.h"
#include "native/weights/weights.h"

namespace minicpm {

struct ModelPlan {
  Config config;
  std::vector<WeightFile> files;
  std::vector<WeightSource> weights;
  std::string device;  // "cpu", "reference" or "cuda:N"
  std::string plugin;  // the shared library that has the device; empty: none is needed
  int threads = 0;     // 0: one a physical core
  DType kv_type = DType::f16;
  std::string isa;  // empty: the best
  Packing packing;
  DType activations = DType::f32;  // what packed weights are multiplied with: f32 or a8
  std::string
      fingerprint;  // of weights and settings: what changes keys or values beside the tokens
  DirectoryPlan directory;  // of sealed blocks on disk
  SpillPlan spill;          // of blocks that memory does not hold; needs sparse attention
  int64_t cache_bytes = 0;  // of sealed blocks kept for later prompts while nobody holds them
};

/// Bytes, each counted in pages nowhere twice; see MemoryPlan in src/native/binding.ts.
struct MemoryPlan {
  int64_t mapped = 0;
  int64_t weights = 0;
  int64_t kv = 0;
  int64_t activations = 0;
};

/// Reads nothing but the plan. Throws Error{kState, kOutOfMemory} for a spill that cannot be, and
/// Error{kState, kDevice} for what the device cannot do.
MemoryPlan plan_memory(const ModelPlan& plan, int64_t capacity, int64_t sequences);

class Sequence;

/// Immutable after load, but for its sequences.
class Model {
 public:
  /// Throws Error{kCheckpoint, kOutOfMemory, kDevice, kStorage}, and Error{kState} as plan_memory
  /// does. `progress` as in Weights. A `backend`, if any, takes the place of the plan's device.
  Model(const ModelPlan& plan, const std::function<bool(int64_t, int64_t)>& progress,
        std::unique_ptr<Backend> backend = nullptr);
  ~Model();

  /// Throws Error{kOutOfMemory} where `capacity` tokens of KV blocks do not fit, Error{kState} when
  /// closed.
  std::shared_ptr<Sequence> create_sequence(int64_t capacity);

  /// Cancels what runs, waits for it (two layers at most), frees everything. Later calls throw
  /// Error{kState}.
  void close();

  const ModelPlan& plan() const { return plan_; }
  const Config& config() const { return plan_.config; }
  Backend& backend() { return *backend_; }
  BlockStore& store() { return *store_; }
  BlockDirectory* directory() { return directory_.get(); }  // null: none, or closed
  /// The plan's, the instruction set and the layout of blocks: names a folder of the directory.
  const std::string& fingerprint() const { return fingerprint_; }
  int64_t ops_started() const { return forward_ ? forward_->ops_started() : 0; }
  /// Counts time and bytes of ops from now on, or no longer. Nothing once closed.
  void start_profile();
  std::array<OpProfile::Count, kOpKinds> stop_profile();

 private:
  friend class Sequence;

  /// Has the sequence closed with the model.
  void adopt(const std::shared_ptr<Sequence>& sequence);

  const ModelPlan plan_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Weights> weights_;
  std::unique_ptr<MiniCpm4> forward_;
  std::string fingerprint_;
  std::unique_ptr<BlockStore> store_;
  std::unique_ptr<BlockDirectory> directory_;
  std::unique_ptr<StepLoop> loop_;
  std::vector<std::weak_ptr<Sequence>> sequences_;
  std::mutex closing_;
};

}  // namespace minicpm
