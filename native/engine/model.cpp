#include "native/engine/model.h"

#include <algorithm>

#include "kernels/error.h"
#include "native/backend/plugin.h"
#include "native/engine/sequence.h"

namespace minicpm {
namespace {

KvLayout kv_layout(const ModelPlan& plan) {
  return {.dtype = plan.kv_type,
          .layers = plan.config.layers,
          .kv_heads = plan.config.kv_heads,
          .head_dim = plan.config.head_dim,
          .pooled = plan.config.sparse.has_value()};
}

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
  constexpr int kBlockFormat = 2;
  return plan.fingerprint + "-" + std::string(backend.name()) + "-" + numbers_of(plan, backend) +
         "-" + name_of(plan.kv_type) + "-" + std::to_string(kBlockFormat);
}

/// Blocks that one query attends to at most.
int64_t most_attended(const SparseRule& rule) {
  return std::max<int64_t>(blocks_for(rule.dense_len), rule.budget());
}

/// Null where the plan has none. Throws as KvSpill does.
std::unique_ptr<KvSpill> make_spill(const ModelPlan& plan) {
  if (plan.spill.path.empty()) return nullptr;
  return std::make_unique<KvSpill>(kv_layout(plan), plan.spill, most_attended(*plan.config.sparse));
}

/// Throws Error{kState} for what needs the host's memory, or kernels that the device lacks.
void check_device(const ModelPlan& plan) {
  if (plugin_device(plan.device) < 0) return;
  if (!plan.spill.path.empty()) {
    throw Error(ErrorCode::kState, "Keys and values on " + plan.device +
                                       " cannot be spilled. Load the model without kvSpill, or on "
                                       "the CPU.");
  }
  if (plan.activations != DType::f32) {
    throw Error(ErrorCode::kState, "Activations in int8 have no kernels on " + plan.device +
                                       ". Load the model with activations \"f32\", or on the CPU.");
  }
}

void check_spill(const ModelPlan& plan) {
  if (plan.spill.path.empty()) return;
  if (!plan.config.sparse) {
    throw Error(
        ErrorCode::kState,
        "Keys and values cannot be spilled under dense attention: every token would read all "
        "of them from disk. Load the model with sparse attention, or without kvSpill.");
  }
  KvSpill::check(kv_layout(plan), plan.spill, most_attended(*plan.config.sparse));
}

/// Of `sequences` sequences of `capacity` tokens.
int64_t plan_kv(const ModelPlan& plan, int64_t capacity, int64_t sequences) {
  const KvLayout layout = kv_layout(plan);
  const int64_t blocks = sequences * blocks_for(capacity);
  const int64_t all = blocks * static_cast<int64_t>(layout.block_bytes());
  if (plan.spill.path.empty()) return all;
  // Blocks that are being written, of one prefill slice and of every sequence, are in no slot.
  const int64_t open = sequences > 0 ? MiniCpm4::kMaxRows / kBlockTokens + sequences : 0;
  return std::min(all, plan.spill.bytes + open * static_cast<int64_t>(layout.heads_bytes()) +
                           blocks * KvSpill::pinned_bytes(layout));
}

/// All that there is to know before anything is loaded.
void check_plan(const ModelPlan& plan) {
  check_device(plan);
  check_spill(plan);
}

/// What a plug-in's backend takes for itself.
int64_t scratch_bytes(const ModelPlan& plan, int64_t capacity) {
  if (plugin_device(plan.device) < 0) return 0;
  return open_plugin(plan.plugin)
      .scratch_bytes({.rows = MiniCpm4::kMaxRows,
                      .heads = plan.config.heads,
                      .kv_heads = plan.config.kv_heads,
                      .head_dim = plan.config.head_dim,
                      .vocab_size = plan.config.vocab_size,
                      .capacity = capacity});
}

}  // namespace

MemoryPlan plan_memory(const ModelPlan& plan, int64_t capacity, int64_t sequences) {
  check_plan(plan);
  const bool on_host = plugin_device(plan.device) < 0;
  const WeightBytes weights = plan_weights(plan.files, plan.weights, plan.packing);
  const bool reorders = std::ranges::any_of(plan.weights, [](const WeightSource& source) {
    return source.arrays.column_groups.has_value();
  });
  const int64_t outputs =
      static_cast<int64_t>(sizeof(float)) * (plan.config.vocab_size + plan.config.hidden_size);
  return {
      .mapped = on_host ? weights.mapped : 0,
      .weights = on_host ? weights.converted : weights.all,
      .kv = plan_kv(plan, capacity, sequences),
      .activations = MiniCpm4::activation_bytes(plan.config, plan.activations, reorders) +
                     MiniCpm4::selection_bytes(plan.config, capacity) + sequences * outputs +
                     scratch_bytes(plan, capacity),
  };
}

namespace {

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

}  // namespace

Model::Model(const ModelPlan& plan, const std::function<bool(int64_t, int64_t)>& progress,
             std::unique_ptr<Backend> backend)
    : plan_(plan),
      backend_(checked_backend(plan, std::move(backend))),
      weights_(load_weights(plan, *backend_, progress)),
      forward_(std::make_unique<MiniCpm4>(plan.config, plan.activations, *weights_, *backend_,
                                          kv_layout(plan))),
      fingerprint_(fingerprint_of(plan, *backend_)),
      store_(std::make_unique<BlockStore>(kv_layout(plan), plan.cache_bytes, make_spill(plan),
                                          backend_->memory())),
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
