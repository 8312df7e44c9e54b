// Runs ops with the kernels of this machine's instruction set on a pool of threads.
#include <string>

#include "kernels/cpu/repack.h"
#include "kernels/cpu/sample.h"
#include "kernels/cpu/select_blocks.h"
#include "kernels/cpu/table.h"
#include "kernels/cpu/workers.h"
#include "native/backend/backend.h"

namespace minicpm {

namespace {

class CpuBackend final : public Backend {
 public:
  CpuBackend(const CpuKernels& kernels, int threads) : kernels_(kernels), workers_(threads) {}

  std::string_view name() const override { return "cpu"; }
  std::string_view isa() const override { return kernels_.isa; }
  int threads() const override { return workers_.threads(); }

  Memory& memory() override { return host_memory(); }
  void begin(const Step&) override {}

  void run(const Embed& op) override {
    op.check();
    op.check_tokens();
    kernels_.embed(op, workers_);
  }
  void run(const RmsNorm& op) override { checked(op, kernels_.rms_norm); }
  void run(const Linear& op) override { checked(op, kernels_.linear); }
  void run(const Linears& op) override { checked(op, kernels_.linears); }
  void run(const QuantizeRows& op) override { checked(op, kernels_.quantize_rows); }
  void run(const Pack& op) override { checked(op, kernels_.pack); }
  void run(const Repack& op) override { checked(op, repack); }
  void run(const RepackArrays& op) override { checked(op, repack_arrays); }
  void run(const PackTernary& op) override { checked(op, pack_ternary); }
  void run(const ReorderColumns& op) override { checked(op, reorder); }
  void run(const Gram& op) override { checked(op, kernels_.gram); }
  void run(const Feedback& op) override { checked(op, kernels_.feedback); }
  void run(const PackFeedback& op) override { checked(op, kernels_.pack_feedback); }
  void run(const Refine& op) override { checked(op, kernels_.refine); }
  void run(const Rope& op) override { checked(op, kernels_.rope); }
  void run(const KvAppend& op) override { checked(op, kernels_.kv_append); }
  void run(const PoolKeys& op) override { checked(op, kernels_.pool_keys); }
  void run(const ScoreBlocks& op) override { checked(op, kernels_.score_blocks); }
  void run(const SelectBlocks& op) override { checked(op, select_blocks); }
  void run(const Attention& op) override { checked(op, kernels_.attention); }
  void run(const SiluMul& op) override { checked(op, kernels_.silu_mul); }
  void run(const LogProb& op) override {
    op.check();
    op.check_targets();
    kernels_.log_prob(op, workers_);
  }
  void run(const Sample& op) override {
    op.check();
    sampler_.run(op);
  }

 private:
  template <typename Op>
  void checked(const Op& op, void (*kernel)(const Op&, Workers&)) {
    op.check();
    kernel(op, workers_);
  }

  const CpuKernels& kernels_;
  Workers workers_;
  Sampler sampler_;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(int threads, std::string_view isa) {
  return std::make_unique<CpuBackend>(select_cpu_kernels(std::string(isa).c_str()), threads);
}

}  // namespace minicpm
