#include "native/engine/model_plan.h"

#include <algorithm>

#include "kernels/error.h"
#include "native/backend/plugin.h"
#include "native/model/minicpm4.h"

namespace minicpm {
namespace {

/// Throws Error{kState} for what needs the host's memory.
void check_device(const ModelPlan& plan) {
  if (plugin_device(plan.device) < 0) return;
  if (!plan.spill.path.empty()) {
    throw Error(ErrorCode::kState, "Keys and values on " + plan.device +
                                       " cannot be spilled. Load the model without kvSpill, or on "
                                       "the CPU.");
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

KvLayout kv_layout(const ModelPlan& plan) {
  return {.dtype = plan.kv_type,
          .layers = plan.config.layers,
          .kv_heads = plan.config.kv_heads,
          .head_dim = plan.config.head_dim,
          .pooled = plan.config.sparse.has_value()};
}

int64_t most_attended(const SparseRule& rule) {
  return std::max<int64_t>(blocks_for(rule.dense_len), rule.budget());
}

void check_plan(const ModelPlan& plan) {
  check_device(plan);
  check_spill(plan);
}

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

}  // namespace minicpm
