#include "native/engine/model.h"

#include "kernels/error.h"
#include "native/backend/plugin.h"
#include "native/engine/sequence.h"

namespace minicpm {
namespace {

int host_threads(const ModelPlan& plan) {
  return plan.threads > 0 ? plan.threads : os::physical_cores();
}

std::unique_ptr<Backend> make_backend(const ModelPlan& plan) {
  if (const int index = plugin_device(plan.device); index >= 0) {
    return open_plugin(plan.plugin).make_backend(index);
  }
  if (plan.device == "reference") return make_reference_backend();
  if (plan.device == "cpu") {
    return make_cpu_backend(host_threads(plan), plan.isa);
  }
  throw Error(ErrorCode::kDevice, "There is no device " + plan.device + ".",
              {plan.device, "cpu", "reference"});
}

/// What the linears compute with: float weights give the same bits within one instruction set only,
/// packed ones on all of the host's. A file's own formats may be mixed with float weights.
std::string numbers_of(const ModelPlan& plan, const Backend& backend) {
  const std::string isa(backend.isa());
  if (plan.packing.format == DType::f32) {
    return plan.activations == DType::f32 ? isa : isa + "-" + name_of(plan.activations);
  }
  const std::string packed = std::string(name_of(plan.packing.format)) + "g" +
                             std::to_string(plan.packing.group) + "-" + name_of(plan.activations);
  return plan.plugin.empty() ? packed : isa + "-" + packed;
}

/// kBlockFormat counts up with every change of KvLayout and of the numerics that the plan does not
/// name.
std::string fingerprint_of(const ModelPlan& plan, const Backend& backend) {
  constexpr int kBlockFormat = 4;
  return plan.fingerprint + "-" + std::string(backend.name()) + "-" + numbers_of(plan, backend) +
         "-" + name_of(plan.kv_type) + "-" + std::to_string(kBlockFormat);
}

/// Null where the plan has none. Throws as KvSpill does.
std::unique_ptr<KvSpill> make_spill(const ModelPlan& plan) {
  if (plan.spill.path.empty()) return nullptr;
  return std::make_unique<KvSpill>(kv_layout(plan), plan.spill, most_attended(*plan.config.sparse));
}

/// The backend, where weights and activations fit its device. Throws Error{kOutOfMemory}.
std::unique_ptr<Backend> checked_backend(const ModelPlan& plan, std::unique_ptr<Backend> backend) {
  check_plan(plan);
  if (!backend) backend = make_backend(plan);
  if (backend->memory().is_host()) return backend;
  const MemoryPlan memory = plan_memory(plan, kBlockTokens, 1);
  const int64_t needed = memory.weights + memory.kv + memory.activations;
  const int64_t free = backend->memory().free_bytes();
  if (needed > free) {
    const std::string remedy =
        "Load it with packed weights (pack), on another device, or close other models.";
    throw Error(ErrorCode::kOutOfMemory,
                std::to_string(needed) + " bytes are needed on " + plan.device + ", " +
                    std::to_string(free) + " are free. " + remedy,
                {std::to_string(needed), std::to_string(free), remedy});
  }
  return backend;
}

/// Packed by the backend where its memory is the host's, else by the processor.
std::unique_ptr<Weights> load_weights(const ModelPlan& plan, Backend& backend,
                                      const std::function<bool(int64_t, int64_t)>& progress) {
  Memory& memory = backend.memory();
  const std::unique_ptr<Backend> processor =
      memory.is_host() ? nullptr : make_cpu_backend(host_threads(plan), plan.isa);
  auto weights = std::make_unique<Weights>(plan.files, plan.weights, progress, plan.packing,
                                           processor ? processor.get() : &backend, memory);
  memory.synchronize();
  return weights;
}

/// Pooled keys lie in slabs where the processor reads them.
KvLayout layout_in(const Memory& memory, const ModelPlan& plan) {
  KvLayout layout = kv_layout(plan);
  if (memory.is_host()) layout.pooled_run = kSlabBlocks;
  return layout;
}

}  // namespace

Model::Model(const ModelPlan& plan, const std::function<bool(int64_t, int64_t)>& progress,
             std::unique_ptr<Backend> backend)
    : plan_(plan),
      backend_(checked_backend(plan, std::move(backend))),
      weights_(load_weights(plan, *backend_, progress)),
      forward_(std::make_unique<MiniCpm4>(plan.config, plan.activations, *weights_, *backend_,
                                          layout_in(backend_->memory(), plan))),
      fingerprint_(fingerprint_of(plan, *backend_)),
      store_(std::make_unique<BlockStore>(layout_in(backend_->memory(), plan), plan.cache_bytes,
                                          make_spill(plan), backend_->memory())),
      directory_(plan.directory.path.empty()
                     ? nullptr
                     : std::make_unique<BlockDirectory>(*store_, plan.directory, fingerprint_)),
      loop_(std::make_unique<StepLoop>(*forward_, *backend_, store_->spill())) {}

Model::~Model() {
  close();
}

std::shared_ptr<Sequence> Model::create_sequence(int64_t capacity) {
  if (!forward_) throw Error(ErrorCode::kState, "This model is disposed; load it again.");
  auto sequence = std::make_shared<Sequence>(*this, capacity);
  adopt(sequence);
  return sequence;
}

void Model::start_profile() {
  if (forward_) forward_->profile().start();
}

std::array<OpProfile::Count, kOpKinds> Model::stop_profile() {
  if (!forward_) return {};
  forward_->profile().stop();
  return forward_->profile().counts();
}

void Model::adopt(const std::shared_ptr<Sequence>& sequence) {
  std::erase_if(sequences_, [](const auto& weak) { return weak.expired(); });
  sequences_.push_back(sequence);
}

void Model::close() {
  const std::lock_guard lock(closing_);
  loop_->stop();
  for (const auto& weak : sequences_) {
    if (const auto sequence = weak.lock()) sequence->dispose();
  }
  sequences_.clear();
  forward_.reset();
  directory_.reset();
  store_.reset();
  weights_.reset();
  backend_.reset();
}

}  // namespace minicpm
