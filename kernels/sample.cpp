#include "kernels/sample.h"

#include <cmath>
#include <string>

#include "kernels/error.h"
#include "kernels/gumbel.h"

namespace minicpm {

namespace {

void expect_token(const char* list, int32_t token, int64_t vocabulary) {
  if (token >= 0 && token < vocabulary) return;
  throw Error(ErrorCode::kShape, std::string("sample: tokens of ") + list + " should be in [0, " +
                                     std::to_string(vocabulary) + "), one is " +
                                     std::to_string(token));
}

}  // namespace

void Sample::check() const {
  expect("sample", "logits", logits, 1, logits.columns, DType::f32);
  expect("sample", logits.columns > 0, "logits should not be empty");
  expect("sample", token != nullptr, "token has no place to go");
  for (const TokenCount& count : counts) expect_token("counts", count.token, logits.columns);
  for (const TokenBias& bias : biases) expect_token("biases", bias.token, logits.columns);
  expect("sample", temperature >= 0 && std::isfinite(temperature),
         "temperature should be finite and not negative");
  expect("sample", repetition_penalty > 0, "repetition_penalty should be positive");
  expect("sample", top_k >= 0, "top_k should not be negative");
  expect("sample", top_p >= 0 && top_p <= 1, "top_p should be in [0, 1]");
  expect("sample", min_p >= 0 && min_p <= 1, "min_p should be in [0, 1]");
  expect("sample", static_cast<int64_t>(top.size()) <= logits.columns,
         "top should not be longer than the vocabulary");
}

void throw_no_token() {
  throw Error(ErrorCode::kState,
              "No token is left to choose from: every logit is NaN or -Infinity. Loosen logitBias "
              "or the mask; without them, the weights are damaged.");
}

double gumbel(uint64_t seed, int64_t position, int32_t token) {
  return gumbel_of(noise_uniform(noise_words(seed, position, token / 2), token));
}

}  // namespace minicpm
