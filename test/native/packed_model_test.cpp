#include "kernels/cpu/table.h"
#include "test/kernels/test.h"
#include "test/native/tiny_model.h"

namespace minicpm::test {
namespace {

struct Run {
  std::vector<int32_t> tokens;
  std::vector<float> logits;
  std::string fingerprint;
  bool operator==(const Run&) const = default;
};

Run run(TinyModel& tiny, int chunk) {
  const auto sequence = tiny.model->create_sequence(120);
  const std::vector<int32_t> prompt = random_tokens(90, 1);
  for (size_t i = 0; i < prompt.size(); i += static_cast<size_t>(chunk)) {
    const size_t end = std::min(prompt.size(), i + static_cast<size_t>(chunk));
    prefill(*sequence, {prompt.begin() + static_cast<std::ptrdiff_t>(i),
                        prompt.begin() + static_cast<std::ptrdiff_t>(end)});
  }
  Run result{.fingerprint = tiny.model->fingerprint()};
  const auto logits = sequence->logits();
  result.logits.assign(logits.begin(), logits.end());
  result.tokens = decode(*sequence, 20);
  return result;
}

TEST("a packed model gives the same bits on every set, in any chunks, on any threads") {
  for (const DType format : {DType::w8, DType::w4, DType::w2}) {
    for (const DType activations : {DType::a8, DType::f32}) {
      TinyModel first("cpu", 1, {}, {format, 32}, activations, "baseline");
      const Run expected = run(first, 90);
      for (const CpuKernels* set : cpu_kernel_sets()) {
        if (!set->supported()) continue;
        for (const auto& [threads, chunk] : {std::pair{2, 90}, {1, 1}, {3, 7}}) {
          TinyModel tiny("cpu", threads, {}, {format, 32}, activations, set->isa);
          CHECK(run(tiny, chunk) == expected);
        }
      }
    }
  }
}

TEST("a model packed to 8 bits is close to the model itself, and int8 activations to f32 ones") {
  TinyModel plain("cpu"), ground("cpu", 1, {}, {DType::w8, 32}),
      rounded("cpu", 1, {}, {DType::w8, 32}, DType::a8);
  const Run a = run(plain, 90), b = run(ground, 90), c = run(rounded, 90);
  double largest = 0, by_weights = 0, by_activations = 0;
  for (size_t i = 0; i < a.logits.size(); ++i) {
    largest = std::max(largest, std::abs(double{a.logits[i]}));
    by_weights = std::max(by_weights, std::abs(double{a.logits[i]} - b.logits[i]));
    by_activations = std::max(by_activations, std::abs(double{b.logits[i]} - c.logits[i]));
  }
  CHECK(by_weights > 0 && by_weights < 0.05 * largest);
  CHECK(by_activations > 0 && by_activations < 0.05 * largest);
}

TEST("quantized matrices run packed, beside float ones, with the same bits in any chunks") {
  TinyModel plain("cpu");
  const Run expected = run(plain, 90);
  for (const std::string names : {"layers", "attn.v", "attn.k", "mlp.down", "embed"}) {
    for (const DType activations : {DType::f32, DType::a8}) {
      std::vector<Run> runs;
      for (const auto& [threads, chunk] : {std::pair{1, 90}, {2, 7}}) {
        TinyModel tiny("cpu", threads, {}, {}, activations, "", names);
        runs.push_back(run(tiny, chunk));
      }
      CHECK(runs[0] == runs[1]);
      double far = 0, largest = 0;
      for (size_t i = 0; i < expected.logits.size(); ++i) {
        far = std::max(far, std::abs(double{expected.logits[i]} - runs[0].logits[i]));
        largest = std::max(largest, std::abs(double{expected.logits[i]}));
      }
      CHECK(far > 0 && far < 0.05 * largest);
    }
  }
  TinyModel rounded("cpu", 1, {}, {}, DType::a8, "", "layers"),
      floats("cpu", 1, {}, {}, DType::f32, "", "layers");
  CHECK(rounded.model->fingerprint() != floats.model->fingerprint());
}

TEST("packed and quantized weights are packed on the host for memory that is not") {
  for (const DType format : {DType::f32, DType::w4}) {
    for (const std::string quantized : {"none", "attn", "embed"}) {
      TinyModel host("reference", 1, {}, {format, 32}, DType::f32, "", quantized);
      TinyModel guarded("guarded", 1, {}, {format, 32}, DType::f32, "", quantized);
      const Run expected = run(host, 90), found = run(guarded, 90);
      CHECK(found.tokens == expected.tokens);
      CHECK(found.logits == expected.logits);
    }
  }
}

TEST("keys and values of another format, group or kind of activations are not taken for these") {
  TinyModel plain("cpu"), w4("cpu", 1, {}, {DType::w4, 32}, DType::a8),
      w8("cpu", 1, {}, {DType::w8, 32}, DType::a8), wide("cpu", 1, {}, {DType::w4, 64}, DType::a8),
      floats("cpu", 1, {}, {DType::w4, 32});
  std::vector<std::string> names;
  for (const TinyModel* tiny : {&plain, &w4, &w8, &wide, &floats}) {
    names.push_back(tiny->model->fingerprint());
  }
  std::sort(names.begin(), names.end());
  CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
}

}  // namespace
}  // namespace minicpm::test
