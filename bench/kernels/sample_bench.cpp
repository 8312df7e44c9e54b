#include "kernels/cpu/sample.h"

#include <cmath>

#include "bench/kernels/bench.h"

namespace minicpm::bench {

BENCH(sample) {
  constexpr int kVocabulary = 73448;
  std::vector<float> logits(kVocabulary);
  for (size_t i = 0; i < logits.size(); i++) {
    const double noise = static_cast<double>(i * 2654435761u % 1000003) / 1000003;
    logits[i] = static_cast<float>(2 * std::log(noise / (1 - noise) + 1e-9));  // logistic
  }
  Sampler sampler;
  int32_t token = 0;
  float log_prob = 0;
  const auto measure_with = [&](const char* name, const Sample& options) {
    Sample op = options;
    op.logits = {logits.data(), DType::f32, 1, kVocabulary};
    op.token = &token;
    measure({std::string("sample  cpu  ") + name, 0, Limit::none, nullptr, nullptr, [&] {
               op.position++;
               sampler.run(op);
             }});
  };
  measure_with("greedy", {.token = nullptr});
  measure_with("temperature 0.8", {.temperature = 0.8f, .token = nullptr});
  measure_with("temperature 0.8  top-k 40", {.temperature = 0.8f, .top_k = 40, .token = nullptr});
  measure_with("temperature 0.8  top-p 0.8",
               {.temperature = 0.8f, .top_p = 0.8f, .token = nullptr});
  measure_with("temperature 0.8  min-p 0.05",
               {.temperature = 0.8f, .min_p = 0.05f, .token = nullptr});
  measure_with("greedy  with log-probability", {.token = nullptr, .log_prob = &log_prob});
}

}  // namespace minicpm::bench
