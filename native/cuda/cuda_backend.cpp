#include "native/cuda/cuda_backend.h"

#include <algorithm>
#include <bit>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cuda/ops.h"
#include "kernels/error.h"
#include "native/cuda/cuda_memory.h"
#include "native/cuda/device.h"
#include "native/cuda/step_rows.h"

namespace minicpm::cuda {
namespace {

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(int index)
      : device_(index), memory_(device_), isa_(device_.properties().isa), rows_(memory_) {}

  std::string_view name() const override { return "cuda"; }
  std::string_view isa() const override { return isa_; }
  int threads() const override { return 1; }
  Memory& memory() override { return memory_; }

  void begin(const Step& step) override {
    rows_.write(step);
    capacity_ = step.capacity;
  }

  void run(const Embed& op) override { checked(op, embed); }
  void run(const RmsNorm& op) override { checked(op, rms_norm); }
  void run(const Linear& op) override { checked(op, linear); }
  void run(const Linears& op) override {
    for (int i = 0; i < op.count; ++i) run(op.parts[i]);
  }
  void run(const QuantizeRows& op) override { checked(op, quantize_rows); }
  void run(const ReorderColumns& op) override { checked(op, reorder); }
  void run(const Rope& op) override { checked(op, rope); }
  void run(const KvAppend& op) override { of_step(op, kv_append); }
  void run(const PoolKeys& op) override { of_step(op, pool_keys); }
  void run(const ScoreBlocks& op) override { of_step(op, score_blocks); }
  void run(const SelectBlocks& op) override { of_step(op, select_blocks); }
  void run(const SiluMul& op) override { checked(op, silu_mul); }
  void run(const LogProb& op) override { checked(op, log_prob); }

  void run(const Attention& op) override {
    op.check();
    const size_t bytes = sizeof(float) * attention_scratch(op, capacity_);
    float* scratch = reserved(attention_, bytes).as<float>();
    const Device::Use use(device_);
    attention(op, rows_.batch(), capacity_, scratch, device_.stream());
  }

  void run(const Sample& op) override {
    op.check();
    void* scratch = reserved(sample_, sample_scratch(op.logits.columns)).data();
    // Lists and results, one behind the other, in the device's memory.
    const auto mask_words = op.mask ? static_cast<size_t>(op.logits.columns + 31) / 32 : 0;
    const size_t list_bytes = op.counts.size_bytes() + op.biases.size_bytes() + 4 * mask_words;
    const size_t result_bytes = sizeof(int32_t) + sizeof(float) + op.top.size_bytes();
    std::byte* next = reserved(lists_, list_bytes + result_bytes).data();
    const auto uploaded = [&](const auto* list, size_t bytes) {
      memory_.upload(next, list, bytes);
      return reinterpret_cast<decltype(list)>(std::exchange(next, next + bytes));
    };
    Sample there = op;
    there.counts = {uploaded(op.counts.data(), op.counts.size_bytes()), op.counts.size()};
    there.biases = {uploaded(op.biases.data(), op.biases.size_bytes()), op.biases.size()};
    if (op.mask) there.mask = uploaded(op.mask, 4 * mask_words);
    there.token = reinterpret_cast<int32_t*>(next);
    auto* const log_prob = reinterpret_cast<float*>(next + sizeof(int32_t));
    if (op.log_prob) there.log_prob = log_prob;
    there.top = {reinterpret_cast<TokenLogProb*>(log_prob + 1), op.top.size()};
    {
      const Device::Use use(device_);
      sample(there, scratch, device_.stream());
    }
    memory_.download(op.token, there.token, sizeof(int32_t));
    if (op.log_prob) memory_.download(op.log_prob, log_prob, sizeof(float));
    memory_.download(op.top.data(), there.top.data(), op.top.size_bytes());
  }

  void run(const Pack&) override { refuse("pack"); }
  void run(const Repack&) override { refuse("repack"); }
  void run(const RepackArrays&) override { refuse("repack_arrays"); }
  void run(const PackTernary&) override { refuse("pack_ternary"); }
  void run(const Gram&) override { refuse("gram"); }
  void run(const Feedback&) override { refuse("feedback"); }
  void run(const PackFeedback&) override { refuse("pack_feedback"); }
  void run(const Refine&) override { refuse("refine"); }

 private:
  template <typename Op>
  void checked(const Op& op, void (*start)(const Op&, Stream)) {
    op.check();
    const Device::Use use(device_);
    start(op, device_.stream());
  }

  template <typename Op>
  void of_step(const Op& op, void (*start)(const Op&, const Batch&, Stream)) {
    op.check();
    const Device::Use use(device_);
    start(op, rows_.batch(), device_.stream());
  }

  /// A buffer of at least `bytes`. What still runs may use the one that is replaced: CudaMemory
  /// gives it to nobody whose turn comes before.
  const Buffer& reserved(Buffer& buffer, size_t bytes) {
    if (buffer.size() < bytes) buffer = Buffer(memory_, std::bit_ceil(bytes));
    return buffer;
  }

  [[noreturn]] static void refuse(const std::string& op) {
    throw Error(ErrorCode::kState, op + " does not run on CUDA. Load the model on the CPU.");
  }

  Device device_;
  CudaMemory memory_;
  const std::string isa_;
  StepRows rows_;
  int64_t capacity_ = 0;
  Buffer attention_, sample_, lists_;
};

}  // namespace

std::unique_ptr<Backend> make_cuda_backend(int index) {
  return std::make_unique<CudaBackend>(index);
}

int64_t scratch_bytes(const ScratchShape& shape) {
  const Attention op{
      .q = {nullptr, DType::f32, shape.rows, shape.heads * shape.head_dim},
      .layout = {.kv_heads = static_cast<int>(shape.kv_heads),
                 .head_dim = static_cast<int>(shape.head_dim)},
  };
  const size_t parts = sizeof(float) * attention_scratch(op, shape.capacity);
  const size_t sampling = sample_scratch(shape.vocab_size);
  return static_cast<int64_t>(std::bit_ceil(parts) + 2 * std::bit_ceil(sampling)) +
         StepRows::bytes(shape);
}

}  // namespace minicpm::cuda
