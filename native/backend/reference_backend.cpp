// Every op as its definition: slow, simple, the ground that all other backends are compared with.
#include "kernels/reference/ops.h"
#include "native/backend/backend.h"

namespace minicpm {

namespace {

class ReferenceBackend final : public Backend {
 public:
  std::string_view name() const override { return "reference"; }
  std::string_view isa() const override { return "scalar"; }
  int threads() const override { return 1; }

  Memory& memory() override { return host_memory(); }
  void begin(const Step&) override {}

  void run(const Embed& op) override {
    op.check();
    op.check_tokens();
    reference::embed(op);
  }
  void run(const RmsNorm& op) override { checked(op, reference::rms_norm); }
  void run(const Linear& op) override { checked(op, reference::linear); }
  void run(const Linears& op) override { checked(op, reference::linears); }
  void run(const QuantizeRows& op) override { checked(op, reference::quantize_rows); }
  void run(const Pack& op) override { checked(op, reference::pack); }
  void run(const Repack& op) override { checked(op, reference::repack); }
  void run(const RepackArrays& op) override { checked(op, reference::repack_arrays); }
  void run(const PackTernary& op) override { checked(op, reference::pack_ternary); }
  void run(const ReorderColumns& op) override { checked(op, reference::reorder); }
  void run(const Gram& op) override { checked(op, reference::gram); }
  void run(const Feedback& op) override { checked(op, reference::feedback); }
  void run(const PackFeedback& op) override { checked(op, reference::pack_feedback); }
  void run(const Refine& op) override { checked(op, reference::refine); }
  void run(const Rope& op) override { checked(op, reference::rope); }
  void run(const KvAppend& op) override { checked(op, reference::kv_append); }
  void run(const PoolKeys& op) override { checked(op, reference::pool_keys); }
  void run(const ScoreBlocks& op) override { checked(op, reference::score_blocks); }
  void run(const SelectBlocks& op) override { checked(op, reference::select_blocks); }
  void run(const Attention& op) override { checked(op, reference::attention); }
  void run(const SiluMul& op) override { checked(op, reference::silu_mul); }
  void run(const LogProb& op) override {
    op.check();
    op.check_targets();
    reference::log_prob(op);
  }
  void run(const Sample& op) override { checked(op, reference::sample); }

 private:
  template <typename Op>
  static void checked(const Op& op, void (*kernel)(const Op&)) {
    op.check();
    kernel(op);
  }
};

}  // namespace

std::unique_ptr<Backend> make_reference_backend() {
  return std::make_unique<ReferenceBackend>();
}

}  // namespace minicpm
