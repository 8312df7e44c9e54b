#include "native/quantize/calibration.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>

#include "kernels/error.h"
#include "kernels/gram.h"
#include "kernels/packed.h"
#include "native/backend/plugin.h"

namespace minicpm {
namespace {

constexpr int64_t kSlabBytes = 64 << 20;  // of f32 weights
constexpr int kPasses = 4;  // of refinement: each next one gains less, 0.4 % of the error the last

KvLayout layout_of(const Config& config) {
  return {
      .dtype = DType::f32, .layers = 1, .kv_heads = config.kv_heads, .head_dim = config.head_dim};
}

ModelPlan dense(ModelPlan plan) {
  plan.config.sparse.reset();  // a window is shorter than what any query attends to
  return plan;
}

/// log(sum of exp(x)), the largest number apart.
double log_sum(std::span<const float> x) {
  const double most = *std::ranges::max_element(x);
  double sum = 0;
  for (const float each : x) sum += std::exp(each - most);
  return most + std::log(sum);
}

std::span<const float> numbers(const Tensor& tensor, int64_t row) {
  return {tensor.as<float>() + row * tensor.columns, static_cast<size_t>(tensor.columns)};
}

/// What a token adds, given the logits of the source, p, and of the packed model, q.
void add(Comparison& sums, std::span<const float> p, std::span<const float> q, int32_t token) {
  const double p_sum = log_sum(p), q_sum = log_sum(q);
  for (size_t id = 0; id < p.size(); ++id) {
    const double log_p = p[id] - p_sum;
    sums.kl += std::exp(log_p) * (log_p - (q[id] - q_sum));
  }
  sums.source_nll -= p[static_cast<size_t>(token)] - p_sum;
  sums.packed_nll -= q[static_cast<size_t>(token)] - q_sum;
  sums.same_best +=
      std::ranges::max_element(p) - p.begin() == std::ranges::max_element(q) - q.begin();
  ++sums.tokens;
}

}  // namespace

/// A model of one layer.
struct Calibration::Loaded {
  Loaded(const ModelPlan& plan, Backend& backend)
      : weights(plan.files, plan.weights, {}, plan.packing, &backend),
        forward(dense(plan).config, DType::f32, weights, backend, layout_of(plan.config)) {}

  Weights weights;
  MiniCpm4 forward;
};

Calibration::Calibration(ModelPlan source, std::vector<int32_t> tokens,
                         const CalibrationOptions& options)
    : source_(dense(std::move(source))), options_(options), tokens_(std::move(tokens)) {
  if (plugin_device(source_.device) >= 0) {
    throw Error(ErrorCode::kState, "Calibration runs on the CPU only, not on " + source_.device);
  }
  tokens_.resize(static_cast<size_t>(windows() * options.window));
  if (windows() <= options.held_out) {
    throw Error(ErrorCode::kState, "The calibration text is too short: it has " +
                                       std::to_string(windows()) + " windows of " +
                                       std::to_string(options.window) + " tokens, and needs " +
                                       std::to_string(options.held_out + 1) + ".");
  }
  const int threads = source_.threads > 0 ? source_.threads : os::physical_cores();
  backend_ = source_.device == "reference" ? make_reference_backend()
                                           : make_cpu_backend(threads, source_.isa);
  const KvLayout layout = layout_of(source_.config);
  const auto blocks = static_cast<size_t>(blocks_for(options.window));
  keys_ = Buffer(blocks * layout.block_bytes());
  for (size_t i = 0; i < blocks; ++i) blocks_.push_back(keys_.data() + i * layout.block_bytes());
  segment_ = {.row = 0, .count = options.window, .position = 0, .blocks = blocks_.data()};
  angles_.emplace(source_.config, options.window);
  angles_of_batch_ = &*angles_;
}

Tensor Calibration::window(const Buffer& states, int index) const {
  const int64_t hidden = source_.config.hidden_size;
  return {states.as<float>() + index * options_.window * hidden, DType::f32, options_.window,
          hidden};
}

void Calibration::embed() {
  if (states_.size() > 0) return;
  const auto row_bytes = sizeof(float) * static_cast<size_t>(source_.config.hidden_size);
  Buffer states(tokens_.size() * row_bytes);
  const Loaded model(source_, *backend_);
  for (int i = 0; i < windows(); ++i) {
    const Tensor ids{tokens_.data() + i * options_.window, DType::i32, 1, options_.window};
    backend_->run(Embed{.y = window(states, i),
                        .tokens = ids,
                        .table = model.weights.at("embed"),
                        .scale = source_.config.embed_scale});
  }
  source_states_ = Buffer(static_cast<size_t>(options_.held_out * options_.window) * row_bytes);
  std::memcpy(source_states_.data(), states.data() + states.size() - source_states_.size(),
              source_states_.size());
  states_ = std::move(states);
}

Batch Calibration::begin(Loaded& model, const Buffer& states, int index) {
  check_cancelled();
  const Tensor state = window(states, index);
  std::memcpy(model.forward.residual(state.rows).data, state.data, state.bytes());
  const auto rows = static_cast<size_t>(options_.window);
  return {.tokens = {tokens_.data(), rows},
          .segments = {&segment_, 1},
          .angles = {&angles_of_batch_, 1}};
}

void Calibration::gather(const ModelPlan& layer, Site site) {
  embed();
  Loaded model(layer, *backend_);
  hessian_ = {};
  coefficients_ = {};
  for (int i = 0; i < windows() - options_.held_out; ++i) {
    const Tensor inputs = model.forward.run_to(0, site, begin(model, states_, i));
    if (hessian_.size() == 0) {
      inputs_ = inputs.columns;
      hessian_ = Buffer(sizeof(float) * static_cast<size_t>(inputs_ * inputs_));
    }
    if (options_.even_out) even_out(inputs);
    backend_->run(Gram{.y = square(hessian_), .x = inputs});
  }
  check_cancelled();
  split();
}

void Calibration::split() {
  const auto in = static_cast<size_t>(inputs_);
  auto* h = hessian_.as<float>();
  order_.resize(in);
  std::iota(order_.begin(), order_.end(), 0);
  std::ranges::stable_sort(order_, std::greater(), [&](int32_t i) {
    return h[static_cast<size_t>(i) * in + static_cast<size_t>(i)];
  });
  for (size_t i = 0; i < in; i++) {
    for (size_t j = 0; j < i; j++) h[j * in + i] = h[i * in + j];
  }
  coefficients_ = Buffer(sizeof(float) * in * in);
  for (size_t i = 0; i < in; i++) {
    const float* row = h + static_cast<size_t>(order_[i]) * in;
    for (size_t j = 0; j <= i; j++) {
      coefficients_.as<float>()[i * in + j] = row[static_cast<size_t>(order_[j])];
    }
  }
  importance_ = Buffer(sizeof(float) * in);
  const Buffer work(sizeof(double) * in * in);
  const Feedback feedback{.coefficients = square(coefficients_),
                          .importance = {importance_.data(), DType::f32, 1, inputs_},
                          .damping = options_.damping,
                          .work = work.as<double>()};
  const auto added = static_cast<float>(feedback.added());
  for (size_t i = 0; i < in; i++) h[i * in + i] += added;
  backend_->run(feedback);
}

Tensor Calibration::square(const Buffer& matrix) const {
  return {matrix.data(), DType::f32, inputs_, inputs_};
}

Buffer Calibration::pack(const WeightFile& file, const WeightSource& source,
                         const Packing& packing) {
  const auto mapped = map_weights(file);
  expect_inside(*mapped, source, file.path);
  const int64_t columns = source.columns;
  Buffer result(packed_bytes(packing.format, source.rows, columns, packing.group));
  const Tensor whole{result.data(), packing.format, source.rows, columns, packing.group};
  expect_packed("calibration", "weight", whole);
  const int64_t tiles = std::max<int64_t>(1, kSlabBytes / (4 * columns * kPackedRows));
  const int64_t most = std::min(tiles * kPackedRows, source.rows);
  const Buffer slab(sizeof(float) * static_cast<size_t>(most * columns));
  for (int64_t first = 0; first < source.rows; first += most) {
    check_cancelled();
    const int64_t count = std::min(most, source.rows - first);
    read_rows(*mapped, source, {first, count}, slab.as<float>());
    std::byte* at = result.data() + first / kPackedRows * packed_tile_bytes(whole);
    const Tensor y{at, packing.format, count, columns, packing.group};
    const Tensor x{slab.data(), DType::f32, count, columns};
    backend_->run(PackFeedback{
        .y = y,
        .x = x,
        .order = {order_.data(), DType::i32, 1, inputs_},
        .coefficients = square(coefficients_),
        .importance = {importance_.data(), DType::f32, 1, inputs_},
    });
    backend_->run(Refine{.y = y, .x = x, .hessian = square(hessian_), .passes = kPasses});
  }
  return result;
}

void Calibration::run(Loaded& model, const Buffer& states, int first, int count) {
  for (int i = first; i < first + count; ++i) {
    model.forward.run_layer(0, begin(model, states, i));
    const Tensor state = window(states, i);
    std::memcpy(state.data, model.forward.residual(state.rows).data, state.bytes());
  }
}

void Calibration::advance(const ModelPlan& packed, const ModelPlan& source) {
  embed();
  {
    Loaded model(source, *backend_);
    run(model, source_states_, 0, options_.held_out);
  }
  Loaded model(packed, *backend_);
  run(model, states_, 0, windows());
}

Comparison Calibration::compare(const ModelPlan& packed, const ModelPlan& source) {
  embed();
  Loaded one(source, *backend_), other(packed, *backend_);
  Comparison result;
  for (int i = 0; i < options_.held_out; ++i) {
    const int index = windows() - options_.held_out + i;
    begin(one, source_states_, i);
    begin(other, states_, index);
    const int last = options_.window - 1;
    for (int first = 0; first < last; first += MiniCpm4::kHeadRows) {
      check_cancelled();
      std::vector<int32_t> rows(static_cast<size_t>(std::min(MiniCpm4::kHeadRows, last - first)));
      std::iota(rows.begin(), rows.end(), first);
      const Tensor p = one.forward.head(rows).logits, q = other.forward.head(rows).logits;
      for (int64_t row = 0; row < p.rows; ++row) {
        const int64_t next = index * options_.window + first + row + 1;
        add(result, numbers(p, row), numbers(q, row), tokens_[static_cast<size_t>(next)]);
      }
    }
  }
  const auto count = static_cast<double>(std::max<int64_t>(result.tokens, 1));
  result.kl /= count;
  result.source_nll /= count;
  result.packed_nll /= count;
  return result;
}

void Calibration::check_cancelled() const {
  if (cancelled_) throw Error(ErrorCode::kState, "The calibration was cancelled.");
}

}  // namespace minicpm
