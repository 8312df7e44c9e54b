#include "kernels/cpu/sample.h"

#include <algorithm>
#include <cmath>

#include "test/kernels/tensors.h"
#include "test/kernels/test.h"

namespace minicpm::test {

namespace {

/// The definition and the CPU's way, for tests that hold for both.
template <typename Body>
void on_both(Body body) {
  body([](const Sample& op) { reference::sample(op); });
  Sampler sampler;
  body([&](const Sample& op) { sampler.run(op); });
}

Array logits_of(std::initializer_list<float> values) {
  Array logits(1, static_cast<int64_t>(values.size()));
  std::copy(values.begin(), values.end(), logits.floats());
  return logits;
}

/// The tokens drawn at positions 0 to `draws`, counted.
template <typename Run>
std::vector<int> histogram(Run run, Sample op, int draws) {
  std::vector<int> counts(static_cast<size_t>(op.logits.columns));
  int32_t token = -1;
  op.token = &token;
  for (op.position = 0; op.position < draws; op.position++) {
    run(op);
    counts[static_cast<size_t>(token)]++;
  }
  return counts;
}

}  // namespace

TEST("greedy takes the best token, the lower id of equal ones, and never NaN") {
  on_both([](auto run) {
    int32_t token = -1;
    Array tied = logits_of({1, 3, 2, 3}), broken = logits_of({NAN, -5, NAN});
    run(Sample{.logits = tied.tensor(), .token = &token});
    CHECK(token == 1);
    run(Sample{.logits = broken.tensor(), .token = &token});
    CHECK(token == 1);
  });
}

TEST("biases, penalties and the mask change the choice in their order") {
  on_both([](auto run) {
    Array logits = logits_of({4, 3, 2, -1});
    int32_t token = -1;
    const TokenBias bias{2, 2.5f};
    run(Sample{.logits = logits.tensor(), .biases = {&bias, 1}, .token = &token});
    CHECK(token == 2);
    const TokenCount count{0, 3, 2};
    Sample op{.logits = logits.tensor(), .counts = {&count, 1}, .token = &token};
    op.repetition_penalty = 1.5f;  // 4 / 1.5 = 2.67 < 3
    run(op);
    CHECK(token == 1);
    op.repetition_penalty = 1, op.presence_penalty = 0.9f;  // 3.1 > 3
    run(op);
    CHECK(token == 0);
    op.frequency_penalty = 0.06f;  // 3.1 - 2 * 0.06 = 2.98 < 3
    run(op);
    CHECK(token == 1);
    const uint32_t mask = 0b1100;
    run(Sample{.logits = logits.tensor(), .mask = &mask, .token = &token});
    CHECK(token == 2);
    // Negative logits are multiplied: -1 * 4 < -2.
    Array negative = logits_of({-1, -2});
    op = {.logits = negative.tensor(), .counts = {&count, 1}, .token = &token};
    op.repetition_penalty = 4;
    run(op);
    CHECK(token == 1);
  });
}

TEST("a mask that allows nothing is an error") {
  on_both([](auto run) {
    Array logits = logits_of({1, 2});
    int32_t token = -1;
    const uint32_t mask = 0;
    CHECK_THROWS(ErrorCode::kState,
                 run(Sample{.logits = logits.tensor(), .mask = &mask, .token = &token}));
  });
}

TEST("sampled tokens have the softmax's frequencies (chi-square, 7 degrees of freedom)") {
  on_both([](auto run) {
    Array logits = logits_of({2, 1, 0, -1, 1.5f, 0.5f, -0.5f, 0});
    constexpr int kDraws = 40000;
    const float temperature = 0.8f;
    const std::vector<int> counts = histogram(
        run, {.logits = logits.tensor(), .temperature = temperature, .seed = 11, .token = nullptr},
        kDraws);
    double total = 0, chi_square = 0;
    for (size_t t = 0; t < 8; t++) total += std::exp(logits.floats()[t] / temperature);
    for (size_t t = 0; t < 8; t++) {
      const double expected = kDraws * std::exp(logits.floats()[t] / temperature) / total;
      chi_square += (counts[t] - expected) * (counts[t] - expected) / expected;
    }
    CHECK(chi_square < 24.3);  // exceeded by one seed in a thousand
  });
}

TEST("top-k, top-p and min-p keep just the tokens they say, in that order") {
  on_both([](auto run) {
    // Probabilities 0.4, 0.3, 0.2, 0.1.
    Array logits = logits_of({std::log(0.1f), std::log(0.4f), std::log(0.2f), std::log(0.3f)});
    const auto kept = [&](int top_k, float top_p, float min_p) {
      Sample op{.logits = logits.tensor(), .temperature = 1, .seed = 3, .token = nullptr};
      op.top_k = top_k, op.top_p = top_p, op.min_p = min_p;
      std::vector<int> counts = histogram(run, op, 400);
      for (int& count : counts) count = count > 0;
      return counts;
    };
    using Kept = std::vector<int>;
    CHECK((kept(0, 1, 0) == Kept{1, 1, 1, 1}));
    CHECK((kept(1, 1, 0) == Kept{0, 1, 0, 0}));
    CHECK((kept(3, 1, 0) == Kept{0, 1, 1, 1}));
    CHECK((kept(0, 0, 0) == Kept{0, 1, 0, 0}));
    CHECK((kept(0, 0.39f, 0) == Kept{0, 1, 0, 0}));
    CHECK((kept(0, 0.6f, 0) == Kept{0, 1, 0, 1}));
    CHECK((kept(0, 0.71f, 0) == Kept{0, 1, 1, 1}));
    CHECK((kept(2, 0.58f, 0) == Kept{0, 1, 0, 1}));  // of the two: 0.57 and 0.43
    CHECK((kept(2, 0.56f, 0) == Kept{0, 1, 0, 0}));
    CHECK((kept(0, 1, 0.6f) == Kept{0, 1, 0, 1}));
    CHECK((kept(0, 1, 1) == Kept{0, 1, 0, 0}));
  });
}

TEST("the CPU chooses the definition's token for random logits and options of every kind") {
  Random random(9);
  Sampler sampler;
  for (int round = 0; round < 600; round++) {
    const int vocabulary = round % 60 == 0 ? 73448 : 1 + random.below(round % 2 ? 20 : 3000);
    Array logits(1, vocabulary);
    logits.fill(random, -10, 10);
    if (round % 3 == 0) {  // many ties
      for (size_t i = 0; i < logits.size(); i++) logits.set(i, std::round(logits.floats()[i]));
    }
    std::vector<TokenCount> counts;
    std::vector<TokenBias> biases;
    for (int i = 0; i < random.below(20); i++) {
      counts.push_back({random.below(vocabulary), 1 + random.below(5), random.below(5)});
      biases.push_back({random.below(vocabulary), random.between(-5, 5)});
    }
    std::vector<uint32_t> mask(static_cast<size_t>(vocabulary + 31) / 32, ~uint32_t{0});
    if (round % 4 == 1) {
      for (uint32_t& word : mask) word = static_cast<uint32_t>(random.next());
      mask[0] |= 1;
    }
    int32_t expected = -1, token = -2;
    Sample op{.logits = logits.tensor(), .token = &expected};
    op.counts = counts, op.biases = biases, op.mask = round % 4 == 1 ? mask.data() : nullptr;
    op.repetition_penalty = round % 2 ? 1.1f : 1;
    op.presence_penalty = random.between(-1, 1), op.frequency_penalty = random.between(-1, 1);
    op.temperature = round % 5 == 0 ? 0 : random.between(0.05f, 3);
    op.top_k = round % 3 == 1 ? random.below(60) : 0;
    op.top_p = round % 2 == 1 ? random.between(0, 1) : 1;
    op.min_p = round % 7 == 0 ? random.between(0, 0.3f) : 0;
    op.seed = random.next(), op.position = round;
    float expected_log_prob = 0, log_prob = 1;
    std::vector<TokenLogProb> expected_top(static_cast<size_t>(std::min(vocabulary, 5)));
    std::vector<TokenLogProb> top = expected_top;
    op.log_prob = &expected_log_prob, op.top = expected_top;
    reference::sample(op);
    op.token = &token, op.log_prob = &log_prob, op.top = top;
    sampler.run(op);
    CHECK(token == expected);
    CHECK(std::abs(log_prob - expected_log_prob) < 1e-5f);
    for (size_t i = 0; i < top.size(); i++) {
      CHECK(top[i].token == expected_top[i].token);
      CHECK(std::abs(top[i].log_prob - expected_top[i].log_prob) < 1e-5f);
    }
  }
}

TEST("log-probabilities are those of the raw logits, whatever the processors do") {
  on_both([](auto run) {
    Array logits = logits_of({std::log(0.25f), std::log(0.75f)});
    int32_t token = -1;
    float log_prob = 0;
    TokenLogProb top[2];
    const TokenBias bias{0, 100};
    Sample op{.logits = logits.tensor(), .biases = {&bias, 1}, .token = &token};
    op.temperature = 5, op.log_prob = &log_prob, op.top = top;
    run(op);
    CHECK(token == 0 && std::abs(log_prob - std::log(0.25f)) < 1e-6f);
    CHECK(top[0].token == 1 && std::abs(top[0].log_prob - std::log(0.75f)) < 1e-6f);
    CHECK(top[1].token == 0 && std::abs(top[1].log_prob - std::log(0.25f)) < 1e-6f);
  });
}

TEST("the token depends on seed and position alone, not on what was sampled before") {
  Random random(10);
  Array logits(1, 500);
  logits.fill(random, -2, 2);
  Sampler used, fresh;
  int32_t a = -1, b = -2;
  Sample op{.logits = logits.tensor(), .temperature = 1, .seed = 5, .token = &a};
  for (op.position = 0; op.position < 20; op.position++) used.run(op);
  op.position = 7;
  used.run(op);
  op.token = &b;
  fresh.run(op);
  CHECK(a == b);
}

}  // namespace minicpm::test
