#include "native/engine/model.h"

#include <algorithm>

#include "kernels/error.h"
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

std::unique_ptr<Backend> make_backend(const ModelPlan& plan) {
  if (plan.device == "reference") return make_reference_backend();
  if (plan.device == "cpu") {
    return make_cpu_backend(plan.threads > 0 ? plan.threads : os::physical_cores(), plan.isa);
  }
  throw Error(ErrorCode::kDevice, "There is no device " + plan.device + ".",
              {plan.device, "cpu", "reference"});
}

/// What the linears compute with: float weights give the same bits within one instruction set only,
/// packed ones on all of them. A file's own formats may be mixed with float weights.
std::string numbers_of(const ModelPlan& plan, const Backend& backend) {
  if (plan.packing.format == DType::f32) {
    const std::string isa(backend.isa());
    return plan.activations == DType::f32 ? isa : isa + "-" + name_of(plan.activations);
  }
  return std::string(name_of(plan.packing.format)) + "g" + std::to_string(plan.packing.group) +
         "-" + name_of(plan.activations);
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

}  // namespace

MemoryPlan plan_memory(const ModelPlan& plan, int64_t capacity, int64_t sequences) {
  check_spill(plan);
  const WeightBytes weights = plan_weights(plan.files, plan.weights, plan.packing);
  const bool reorders = std::ranges::any_of(plan.weights, [](const WeightSource& source) {
    return source.arrays.column_groups.has_value();
  });
  const int64_t outputs =
      static_cast<int64_t>(sizeof(float)) * (plan.config.vocab_size + plan.config.hidden_size);
  return {
      .mapped = weights.mapped,
      .weights = weights.converted,
      .kv = plan_kv(plan, capacity, sequences),
      .activations = MiniCpm4::activation_bytes(plan.config, plan.activations, reorders) +
                     MiniCpm4::selection_bytes(plan.config, capacity) + sequences * outputs,
  };
}

Model::Model(const ModelPlan& plan, const std::function<bool(int64_t, int64_t)>& progress)
    : plan_(plan),
      backend_((check_spill(plan), make_backend(plan))),
      weights_(std::make_unique<Weights>(plan.files, plan.weights, progress, plan.packing,
                                         backend_.get())),
      forward_(std::make_unique<MiniCpm4>(plan.config, plan.activations, *weights_, *backend_,
                                          kv_layout(plan))),
      fingerprint_(fingerprint_of(plan, *backend_)),
      store_(std::make_unique<BlockStore>(kv_layout(plan), plan.cache_bytes, make_spill(plan))),
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
