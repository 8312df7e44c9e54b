#include "native/model/minicpm4.h"

#include <algorithm>
#include <cmath>

namespace minicpm {

MiniCpm4::MiniCpm4(const Config& config, DType activations, const Weights& weights,
                   Backend& backend, KvLayout layout)
    : config_(config),
      activations_(activations),
      layout_(layout),
      attention_scale_(1 / std::sqrt(static_cast<float>(config.head_dim))),
      backend_(backend),
      memory_(backend.memory()),
      weights_(weights),
      arena_(memory_,
             static_cast<size_t>(activation_bytes(config, activations, weights.reorders()))),
      a_(config, activations, weights.reorders(), arena_.data()),
      cos_(static_cast<size_t>(kMaxRows * config.head_dim / 2)),
      sin_(cos_.size()) {
  embed_ = weights.at("embed");
  norm_ = weights.at("norm");
  head_ = weights.has("head") ? weights.at("head") : embed_;
  const auto optional = [&](const std::string& name) {
    return weights.has(name) ? weights.at(name) : Tensor{};
  };
  for (int i = 0; i < config.layers; ++i) {
    const std::string name = "layers." + std::to_string(i);
    layers_.push_back({
        .attention_norm = weights.at(name + ".attn.norm"),
        .q = weights.at(name + ".attn.q"),
        .k = weights.at(name + ".attn.k"),
        .v = weights.at(name + ".attn.v"),
        .o = weights.at(name + ".attn.o"),
        .q_norm = optional(name + ".attn.q_norm"),
        .k_norm = optional(name + ".attn.k_norm"),
        .mlp_norm = weights.at(name + ".mlp.norm"),
        .gate = weights.at(name + ".mlp.gate"),
        .up = weights.at(name + ".mlp.up"),
        .down = weights.at(name + ".mlp.down"),
    });
  }
}

MiniCpm4::Activations::Activations(const Config& config, DType activations, bool reorders,
                                   std::byte* data) {
  const auto cut = [&](int64_t rows, int64_t columns, DType dtype = DType::f32) {
    const Tensor tensor{data ? data + bytes : nullptr, dtype, rows, columns};
    bytes += (tensor.bytes() + 63) & ~size_t{63};
    return tensor;
  };
  const int half = config.head_dim / 2;
  const int kv = config.kv_heads * config.head_dim;
  tokens = cut(1, kMaxRows, DType::i32);
  cos = cut(kMaxRows, half);
  sin = cut(kMaxRows, half);
  h = cut(kMaxRows, config.hidden_size);
  x = cut(kMaxRows, config.hidden_size);
  q = cut(kMaxRows, config.heads * config.head_dim);
  k = cut(kMaxRows, kv);
  v = cut(kMaxRows, kv);
  gate = cut(kMaxRows, config.intermediate_size);
  up = cut(kMaxRows, config.intermediate_size);
  const int widest =
      std::max({config.hidden_size, config.heads * config.head_dim, config.intermediate_size});
  if (activations == DType::a8) quantized = cut(kMaxRows, widest, DType::a8);
  if (reorders) reordered = cut(kMaxRows, widest);
  head_rows = cut(1, kHeadRows, DType::i32);
  hidden = cut(kHeadRows, config.hidden_size);
  logits = cut(kHeadRows, config.vocab_size);
  targets = cut(1, kHeadRows, DType::i32);
  log_probs = cut(1, kHeadRows);
}

int64_t MiniCpm4::activation_bytes(const Config& config, DType activations, bool reorders) {
  return static_cast<int64_t>(Activations(config, activations, reorders, nullptr).bytes);
}

namespace {

int64_t mask_words(int64_t blocks) {
  return (blocks + 63) / 64;
}

}  // namespace

int64_t MiniCpm4::selection_bytes(const Config& config, int64_t capacity) {
  if (!config.sparse) return 0;
  const int64_t blocks = blocks_for(capacity);
  const auto row = static_cast<int64_t>(sizeof(float)) * blocks +
                   static_cast<int64_t>(sizeof(uint64_t)) * mask_words(blocks);
  return int64_t{kMaxRows} * config.kv_heads * row;
}

void MiniCpm4::reserve(int64_t capacity) {
  if (blocks_for(capacity) <= most_blocks_) return;
  selection_ = Buffer(memory_, static_cast<size_t>(selection_bytes(config_, capacity)));
  most_blocks_ = blocks_for(capacity);
}

template <typename Op>
void MiniCpm4::start(const Op& op) {
  ops_.fetch_add(1, std::memory_order_relaxed);
  profile_.run(backend_, op);
}

Tensor MiniCpm4::quantized(int64_t rows, int64_t columns) const {
  return {a_.quantized.data, DType::a8, rows, columns};
}

bool MiniCpm4::rounds(const Tensor& weight) const {
  return activations_ == DType::a8 && is_packed(weight.dtype);
}

void MiniCpm4::multiply(std::initializer_list<Linear> linears) {
  Linears rounded{.count = 0}, plain{.count = 0};
  for (const Linear& linear : linears) {
    if (const Tensor* order = weights_.order_of(linear.weight)) {
      multiply_reordered(linear, *order);
      continue;
    }
    Linears& op = rounds(linear.weight) ? rounded : plain;
    op.parts[op.count++] = linear;
  }
  if (rounded.count > 0) {
    const Tensor x = linears.begin()->x;
    const bool round = x.dtype != DType::a8;
    const Tensor input = round ? quantized(x.rows, x.columns) : x;
    if (round) start(QuantizeRows{.y = input, .x = x});
    for (int i = 0; i < rounded.count; ++i) rounded.parts[i].x = input;
    start(rounded);
  }
  if (plain.count > 0) start(plain);
}

void MiniCpm4::multiply_reordered(const Linear& linear, const Tensor& order) {
  Tensor x{a_.reordered.data, DType::f32, linear.x.rows, linear.x.columns};
  start(ReorderColumns{.y = x, .x = linear.x, .order = order});
  if (rounds(linear.weight)) {
    const Tensor rounded = quantized(x.rows, x.columns);
    start(QuantizeRows{.y = rounded, .x = x});
    x = rounded;
  }
  Linears op{.parts = {linear}, .count = 1};
  op.parts[0].x = x;
  start(op);
}

bool MiniCpm4::run(const Batch& batch, const std::function<bool()>& stop) {
  const int rows = static_cast<int>(batch.tokens.size());
  Embed embed{.y = a_.h.slice(0, rows),
              .tokens = {const_cast<int32_t*>(batch.tokens.data()), DType::i32, 1, rows},
              .table = embed_,
              .scale = config_.embed_scale};
  embed.check_tokens();
  embed.tokens.data = a_.tokens.data;
  memory_.upload(embed.tokens.data, batch.tokens.data(), batch.tokens.size_bytes());
  begin(batch);
  start(embed);
  for (int i = 0; i < config_.layers; ++i) {
    if (stop()) return false;
    attention(layers_[static_cast<size_t>(i)], i, batch, rows);
    mlp(layers_[static_cast<size_t>(i)], rows);
  }
  return true;
}

/// Tells the backend of the batch, and has its angles where ops find them.
void MiniCpm4::begin(const Batch& batch) {
  const auto rows = static_cast<int64_t>(batch.tokens.size());
  backend_.begin(
      {.segments = batch.segments, .rows = rows, .capacity = most_blocks_ * kBlockTokens});
  for (size_t i = 0; i < batch.segments.size(); ++i) {
    const Segment& segment = batch.segments[i];
    const auto at = static_cast<size_t>(segment.row * a_.cos.columns);
    batch.angles[i]->fill(segment.position, segment.count, &cos_[at], &sin_[at]);
  }
  memory_.upload(a_.cos.data, cos_.data(), a_.cos.slice(0, rows).bytes());
  memory_.upload(a_.sin.data, sin_.data(), a_.sin.slice(0, rows).bytes());
}

Tensor MiniCpm4::run_to(int index, Site site, const Batch& batch) {
  const Layer& layer = layers_.at(static_cast<size_t>(index));
  const int rows = static_cast<int>(batch.tokens.size());
  begin(batch);
  if (site == Site::attention) return normed(layer.attention_norm, rows);
  if (site == Site::attention_out) return attended(layer, index, batch, rows);
  attention(layer, index, batch, rows);
  if (site == Site::mlp) return normed(layer.mlp_norm, rows);
  gate_and_up(layer, rows);
  const Tensor gate = a_.gate.slice(0, rows);
  start(SiluMul{.y = gate, .gate = gate, .up = a_.up.slice(0, rows)});
  return gate;
}

void MiniCpm4::run_layer(int index, const Batch& batch) {
  const Layer& layer = layers_.at(static_cast<size_t>(index));
  const int rows = static_cast<int>(batch.tokens.size());
  begin(batch);
  attention(layer, index, batch, rows);
  mlp(layer, rows);
}

/// norm(h)
Tensor MiniCpm4::normed(const Tensor& weight, int rows) {
  const Tensor x = a_.x.slice(0, rows);
  start(RmsNorm{.y = x, .x = a_.h.slice(0, rows), .weight = weight, .eps = config_.rms_norm_eps});
  return x;
}

/// h += residual_scale * o(attention(norm(h)))
void MiniCpm4::attention(const Layer& layer, int index, const Batch& batch, int rows) {
  const Tensor h = a_.h.slice(0, rows), x = attended(layer, index, batch, rows);
  multiply(
      {Linear{.y = h, .x = x, .weight = layer.o, .residual = h, .scale = config_.residual_scale}});
}

/// attention(norm(h))
Tensor MiniCpm4::attended(const Layer& layer, int index, const Batch& batch, int rows) {
  const Tensor x = normed(layer.attention_norm, rows);
  const Tensor q = a_.q.slice(0, rows), k = a_.k.slice(0, rows), v = a_.v.slice(0, rows);
  const Tensor cos = a_.cos.slice(0, rows), sin = a_.sin.slice(0, rows);

  multiply({Linear{.y = q, .x = x, .weight = layer.q}, Linear{.y = k, .x = x, .weight = layer.k},
            Linear{.y = v, .x = x, .weight = layer.v}});
  norm_heads(q, layer.q_norm);
  norm_heads(k, layer.k_norm);
  start(Rope{.x = q, .cos = cos, .sin = sin, .head_dim = config_.head_dim});
  start(Rope{.x = k, .cos = cos, .sin = sin, .head_dim = config_.head_dim});
  start(KvAppend{.k = k, .v = v, .segments = batch.segments, .layout = layout_, .layer = index});
  if (layout_.pooled) {
    if (batch.kv) fetch_before(*batch.kv, index, batch.segments);
    start(PoolKeys{.segments = batch.segments, .layout = layout_, .layer = index});
  }
  const Attention attend{.y = q,
                         .q = q,
                         .segments = batch.segments,
                         .layout = layout_,
                         .layer = index,
                         .scale = attention_scale_,
                         .selected = select_blocks(index, batch, q)};
  if (batch.kv) {
    parts_.run(attend, *batch.kv, [this](const Attention& part) { start(part); });
  } else {
    start(attend);
  }
  return q;
}

/// Pooled keys that end in a segment are of its own keys and of those of the block before.
void MiniCpm4::fetch_before(KvFetch& kv, int layer, std::span<const Segment> segments) {
  before_.clear();
  for (size_t s = 0; s < segments.size(); ++s) {
    const Segment& segment = segments[s];
    const bool ends = segment.position % kPoolStride + segment.count >= kPoolStride;
    if (!ends || segment.position < kBlockTokens) continue;
    for (int head = 0; head < config_.kv_heads; ++head) {
      before_.push_back({static_cast<int>(s), head, segment.position / kBlockTokens - 1});
    }
  }
  if (!before_.empty()) kv.fetch(layer, before_);
}

/// The blocks that each row attends to; no data where all rows attend to all.
BlockMasks MiniCpm4::select_blocks(int layer, const Batch& batch, const Tensor& q) {
  const auto attends_all = [&](const Segment& segment) {
    return segment.count == 0 || config_.sparse->attends_all(segment.position + segment.count - 1);
  };
  if (!config_.sparse || std::ranges::all_of(batch.segments, attends_all)) return {};
  const int64_t rows = q.rows * config_.kv_heads;
  const BlockMasks masks{selection_.as<uint64_t>(), mask_words(most_blocks_)};
  const size_t mask_bytes = sizeof(uint64_t) * static_cast<size_t>(rows * masks.stride);
  const Tensor scores{selection_.data() + mask_bytes, DType::f32, rows, most_blocks_};
  start(ScoreBlocks{.scores = scores,
                    .q = q,
                    .segments = batch.segments,
                    .layout = layout_,
                    .layer = layer,
                    .scale = attention_scale_,
                    .rule = *config_.sparse});
  start(SelectBlocks{.masks = masks,
                     .scores = scores,
                     .segments = batch.segments,
                     .kv_heads = config_.kv_heads,
                     .rule = *config_.sparse});
  return masks;
}

/// RMSNorm of every head by itself (qk-norm), where the model has it: `x` seen as [rows * heads,
/// head_dim].
void MiniCpm4::norm_heads(const Tensor& x, const Tensor& weight) {
  if (!weight.data) return;
  const int64_t heads = x.columns / config_.head_dim;
  const Tensor each{x.data, x.dtype, x.rows * heads, config_.head_dim};
  start(RmsNorm{.y = each, .x = each, .weight = weight, .eps = config_.rms_norm_eps});
}

/// gate(norm(h)) and up(norm(h))
void MiniCpm4::gate_and_up(const Layer& layer, int rows) {
  const Tensor x = normed(layer.mlp_norm, rows);
  multiply({Linear{.y = a_.gate.slice(0, rows), .x = x, .weight = layer.gate},
            Linear{.y = a_.up.slice(0, rows), .x = x, .weight = layer.up}});
}

/// h += residual_scale * down(silu(gate(norm(h))) * up(norm(h)))
void MiniCpm4::mlp(const Layer& layer, int rows) {
  const Tensor h = a_.h.slice(0, rows);
  const Tensor gate = a_.gate.slice(0, rows), up = a_.up.slice(0, rows);

  gate_and_up(layer, rows);
  Tensor gated = gate;
  if (rounds(layer.down) && !weights_.order_of(layer.down)) {
    gated = quantized(rows, gate.columns);
    start(QuantizeRows{.y = gated, .x = gate, .up = up});
  } else {
    start(SiluMul{.y = gate, .gate = gate, .up = up});
  }
  multiply({Linear{
      .y = h, .x = gated, .weight = layer.down, .residual = h, .scale = config_.residual_scale}});
}

void MiniCpm4::fill(const Batch& batch) {
  const auto rows = static_cast<int64_t>(batch.tokens.size());
  const Tensor k = a_.k.slice(0, rows), v = a_.v.slice(0, rows);
  auto random = static_cast<uint32_t>(batch.segments.front().position) + 1;
  std::vector<float> numbers(static_cast<size_t>(k.rows * k.columns));
  for (const Tensor& tensor : {k, v}) {
    for (float& number : numbers) {
      random = random * 1664525 + 1013904223;  // Knuth's LCG
      number = static_cast<float>(random >> 8) / (1 << 23) - 1;
    }
    memory_.upload(tensor.data, numbers.data(), tensor.bytes());
  }
  begin(batch);
  for (int layer = 0; layer < config_.layers; ++layer) {
    start(KvAppend{.k = k, .v = v, .segments = batch.segments, .layout = layout_, .layer = layer});
    if (layout_.pooled) {
      if (batch.kv) fetch_before(*batch.kv, layer, batch.segments);
      start(PoolKeys{.segments = batch.segments, .layout = layout_, .layer = layer});
    }
  }
}

Tensor MiniCpm4::hidden(std::span<const int32_t> rows) {
  const auto count = static_cast<int64_t>(rows.size());
  const Tensor indices{a_.head_rows.data, DType::i32, 1, count};
  memory_.upload(indices.data, rows.data(), rows.size_bytes());
  const Tensor hidden = a_.hidden.slice(0, count);

  start(Embed{.y = hidden, .tokens = indices, .table = a_.h, .scale = 1});  // picks rows of h
  start(RmsNorm{.y = hidden, .x = hidden, .weight = norm_, .eps = config_.rms_norm_eps});
  return hidden;
}

MiniCpm4::Head MiniCpm4::head(std::span<const int32_t> rows) {
  const Tensor normed = hidden(rows), logits = a_.logits.slice(0, normed.rows);
  multiply({Linear{.y = logits, .x = normed, .weight = head_, .scale = config_.logit_scale}});
  return {normed, logits};
}

void MiniCpm4::score(const Tensor& logits, std::span<const int32_t> targets, float* to) {
  const auto count = static_cast<int64_t>(targets.size());
  LogProb op{
      .y = {a_.log_probs.data, DType::f32, 1, count},
      .logits = logits,
      .targets = {const_cast<int32_t*>(targets.data()), DType::i32, 1, count},
  };
  op.check_targets();
  op.targets.data = a_.targets.data;
  memory_.upload(op.targets.data, targets.data(), targets.size_bytes());
  backend_.run(op);
  memory_.download(to, op.y.data, op.y.bytes());
}

}  // namespace minicpm
