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
#include "native/engine/model_plan.h"
#include "native/engine/step_loop.h"
#include "native/model/minicpm4.h"
#include "native/weights/weights.h"

namespace minicpm {

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
