#include "test/native/tiny_model.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>

#include "kernels/half.h"
#include "test/native/guarded_backend.h"

namespace minicpm::test {
namespace {

constexpr int kVocab = 96;

const Config kConfig{
    .vocab_size = kVocab,
    .hidden_size = 64,
    .intermediate_size = 96,
    .layers = 2,
    .heads = 4,
    .kv_heads = 2,
    .head_dim = 16,
    .embed_scale = 12,
    .residual_scale = 0.99f,
    .logit_scale = 0.25f,
};

/// Quant blocks of 32 numbers: d as f16, then the integers.
void append_q8_0(std::vector<std::byte>& content, const std::vector<float>& values) {
  for (size_t first = 0; first < values.size(); first += 32) {
    float largest = 0;
    for (size_t i = 0; i < 32; ++i) largest = std::max(largest, std::abs(values[first + i]));
    const uint16_t d = f32_to_f16(largest / 127);
    const auto* bytes = reinterpret_cast<const std::byte*>(&d);
    content.insert(content.end(), bytes, bytes + 2);
    for (size_t i = 0; i < 32; ++i) {
      const float q = std::nearbyint(values[first + i] / f16_to_f32(d));
      content.push_back(static_cast<std::byte>(static_cast<int8_t>(std::clamp(q, -127.f, 127.f))));
    }
  }
}

}  // namespace

TemporaryFile::TemporaryFile(const std::vector<std::byte>& content) {
  const char* folder = std::getenv("TMPDIR");
  path_ = std::string(folder ? folder : "/tmp") + "/minicpm-test-XXXXXX";
  const int file = mkstemp(path_.data());
  if (file < 0 ||
      write(file, content.data(), content.size()) != static_cast<ssize_t>(content.size())) {
    throw std::runtime_error("cannot write " + path_);
  }
  close(file);
}

TemporaryFile::~TemporaryFile() {
  unlink(path_.c_str());
}

TinyModel::TinyModel(const std::string& device, int threads, std::optional<SparseRule> sparse,
                     const Packing& packing, DType activations, const std::string& isa,
                     const std::string& quantized) {
  std::vector<std::byte> content;
  std::mt19937 random(1);
  const auto add = [&](const std::string& name, int64_t rows, int64_t columns) {
    std::normal_distribution<float> normal(
        rows == 1 ? 1.f : 0.f, rows == 1 ? 0.1f : 2 / std::sqrt(static_cast<float>(columns)));
    std::vector<float> values(static_cast<size_t>(rows * columns));
    for (float& value : values) value = normal(random);
    WeightSource source{.name = name, .offset = content.size(), .rows = rows, .columns = columns};
    if (rows > 1 && name.find(quantized) != std::string::npos) {
      source.type = StoredType::q8_0;
      append_q8_0(content, values);
    }
    plan.weights.push_back(source);
    if (source.type == StoredType::q8_0) return;
    const auto* bytes = reinterpret_cast<const std::byte*>(values.data());
    content.insert(content.end(), bytes, bytes + values.size() * sizeof(float));
  };
  const int q = kConfig.heads * kConfig.head_dim, kv = kConfig.kv_heads * kConfig.head_dim;
  add("embed", kVocab, kConfig.hidden_size);
  add("norm", 1, kConfig.hidden_size);
  for (int i = 0; i < kConfig.layers; ++i) {
    const std::string layer = "layers." + std::to_string(i);
    add(layer + ".attn.norm", 1, kConfig.hidden_size);
    add(layer + ".attn.q", q, kConfig.hidden_size);
    add(layer + ".attn.k", kv, kConfig.hidden_size);
    add(layer + ".attn.v", kv, kConfig.hidden_size);
    add(layer + ".attn.o", kConfig.hidden_size, q);
    add(layer + ".mlp.norm", 1, kConfig.hidden_size);
    add(layer + ".mlp.gate", kConfig.intermediate_size, kConfig.hidden_size);
    add(layer + ".mlp.up", kConfig.intermediate_size, kConfig.hidden_size);
    add(layer + ".mlp.down", kConfig.hidden_size, kConfig.intermediate_size);
  }
  file = std::make_unique<TemporaryFile>(content);
  plan.config = kConfig;
  plan.config.sparse = sparse;
  plan.files = {{file->path(), content.size()}};
  plan.device = device == "guarded" ? "reference" : device;
  if (device == "guarded") {
    backend = [] { return make_guarded_backend(make_reference_backend()); };
  }
  plan.threads = threads;
  plan.kv_type = plan.device == "reference" ? DType::f32 : DType::f16;
  plan.cache_bytes = 64 << 20;
  plan.packing = packing;
  plan.activations = activations;
  plan.isa = isa;
  model = load();
}

std::shared_ptr<Model> TinyModel::load() const {
  return std::make_shared<Model>(plan, nullptr, backend ? backend() : nullptr);
}

class Waiter::Listener : public WorkListener {
 public:
  explicit Listener(Waiter& waiter) : waiter_(waiter) {}

  void progress(int64_t done, int64_t cached) override {
    waiter_.progress.push_back(done);
    waiter_.cached = cached;
  }

  void tokens(const TokenEvent& event) override {
    waiter_.tokens.insert(waiter_.tokens.end(), event.tokens.begin(), event.tokens.end());
    std::unique_lock lock(waiter_.mutex_);
    waiter_.released_.wait(lock, [this] { return !waiter_.held_; });
  }

  void finished(Outcome outcome, std::span<const float> numbers) override {
    const std::lock_guard lock(waiter_.mutex_);
    waiter_.numbers.assign(numbers.begin(), numbers.end());
    waiter_.outcome_ = outcome;
    waiter_.ended_.notify_all();
  }

  void failed(const Error& error) override {
    const std::lock_guard lock(waiter_.mutex_);
    waiter_.error_.emplace(error);
    waiter_.ended_.notify_all();
  }

 private:
  Waiter& waiter_;
};

std::unique_ptr<WorkListener> Waiter::listener() {
  return std::make_unique<Listener>(*this);
}

void Waiter::hold() {
  const std::lock_guard lock(mutex_);
  held_ = true;
}

void Waiter::release() {
  const std::lock_guard lock(mutex_);
  held_ = false;
  released_.notify_all();
}

Outcome Waiter::wait() {
  std::unique_lock lock(mutex_);
  ended_.wait(lock, [this] { return outcome_ || error_; });
  if (error_) throw Error(*error_);
  return *outcome_;
}

std::vector<int32_t> random_tokens(int count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (int32_t& token : tokens) token = static_cast<int32_t>(random() % kVocab);
  return tokens;
}

Outcome prefill(Sequence& sequence, std::vector<int32_t> tokens) {
  Waiter waiter;
  sequence.submit(PrefillWork{.tokens = std::move(tokens)}, waiter.listener());
  return waiter.wait();
}

std::vector<int32_t> decode(Sequence& sequence, int64_t count, SamplingOptions sampling) {
  Waiter waiter;
  sequence.submit(DecodeWork{.count = count, .sampling = std::move(sampling)}, waiter.listener());
  waiter.wait();
  return waiter.tokens;
}

}  // namespace minicpm::test
