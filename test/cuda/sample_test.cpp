#include "test/cuda/device.h"

namespace minicpm::test {

namespace {

/// What the definition and the device make of an op whose data is on the host.
struct Answer {
  int32_t token = -2;
  float log_prob = 0;
  std::vector<TokenLogProb> top;
};

constexpr int kTop = 4;

Answer by_definition(Sample op) {
  Answer answer;
  answer.top.resize(kTop);
  op.token = &answer.token, op.log_prob = &answer.log_prob, op.top = answer.top;
  reference::sample(op);
  return answer;
}

Answer by_device(Sample op) {
  const DeviceTensor logits(op.logits);
  const DeviceBytes counts(op.counts.data(), op.counts.size_bytes());
  const DeviceBytes biases(op.biases.data(), op.biases.size_bytes());
  const size_t words = op.mask ? static_cast<size_t>(op.logits.columns + 31) / 32 : 0;
  const DeviceBytes mask(op.mask, words * sizeof(uint32_t));
  const DeviceBytes token(sizeof(int32_t)), log_prob(sizeof(float));
  const DeviceBytes top(kTop * sizeof(TokenLogProb));
  const DeviceBytes scratch(cuda::sample_scratch(op.logits.columns));
  op.logits = logits.tensor();
  op.counts = {counts.as<TokenCount>(), op.counts.size()};
  op.biases = {biases.as<TokenBias>(), op.biases.size()};
  op.mask = op.mask ? mask.as<uint32_t>() : nullptr;
  op.token = token.as<int32_t>(), op.log_prob = log_prob.as<float>();
  op.top = {top.as<TokenLogProb>(), kTop};
  cuda::sample(op, scratch.as<void>(), nullptr);
  Answer answer;
  answer.top.resize(kTop);
  copy_from_device(&answer.token, op.token, sizeof answer.token);
  copy_from_device(&answer.log_prob, op.log_prob, sizeof answer.log_prob);
  copy_from_device(answer.top.data(), op.top.data(), op.top.size_bytes());
  return answer;
}

void check_same(const Sample& op) {
  const Answer expected = by_definition(op);
  ON_DEVICE({
    const Answer answer = by_device(op);
    CHECK(answer.token == expected.token);
    if (std::isnan(expected.log_prob)) return;  // a NaN is among the definition's sum
    CHECK(std::abs(answer.log_prob - expected.log_prob) < 1e-5f);
    for (size_t i = 0; i < kTop; i++) {
      CHECK(answer.top[i].token == expected.top[i].token);
      const float difference = answer.top[i].log_prob - expected.top[i].log_prob;
      CHECK(std::abs(difference) < 1e-5f || answer.top[i].log_prob == expected.top[i].log_prob);
    }
  });
}

}  // namespace

TEST(
    "on CUDA sample draws the definition's token, with any truncation, and its log-probabilities") {
  Random random(1);
  Array logits(1, 1500);
  logits.fill(random, -6, 6);
  for (size_t i = 0; i < 40; i++) logits.set(i * 7, 5.5f);  // ties
  logits.set(12, -INFINITY);
  const auto op = [&](float temperature, int32_t top_k, float top_p, float min_p) {
    Sample sample{.logits = logits.tensor(), .token = nullptr};
    sample.temperature = temperature, sample.top_k = top_k;
    sample.top_p = top_p, sample.min_p = min_p;
    sample.seed = random.next(), sample.position = random.below(1000);
    return sample;
  };
  check_same(op(0, 0, 1, 0));
  check_same(op(1, 0, 1, 0));
  check_same(op(0.7f, 1, 1, 0));
  check_same(op(3, 20, 1, 0));  // the last place is a tie
  check_same(op(2, 0, 0.8f, 0));
  check_same(op(1, 0, 0.001f, 0));
  check_same(op(1.5f, 300, 0.9f, 0.05f));
  check_same(op(5, 0, 1, 0.3f));
  logits.set(700, NAN);
  check_same(op(1, 0, 0.9f, 0));
}

TEST("on CUDA sample applies biases, penalties and the mask in their order") {
  Random random(2);
  Array logits(1, 70);
  logits.fill(random, -3, 3);
  const TokenBias biases[] = {{5, 2.5f}, {60, -1}, {5, 1}};
  const TokenCount counts[] = {{5, 3, 2}, {33, 1, 0}, {69, 2, 2}};
  std::vector<uint32_t> mask(3, 0xf0f0f0f0);
  for (float temperature : {0.0f, 1.0f}) {
    Sample op{.logits = logits.tensor(), .counts = counts, .biases = biases, .token = nullptr};
    op.temperature = temperature;
    op.repetition_penalty = 1.3f, op.presence_penalty = 0.4f, op.frequency_penalty = 0.2f;
    check_same(op);
    op.mask = mask.data();
    check_same(op);
  }
}

TEST("on CUDA sample answers -1 where no token is left, and fills up a short list of best ones") {
  Array one(1, 3), none(1, 3);
  for (size_t i = 0; i < 3; i++) one.set(i, i == 1 ? 2 : -INFINITY), none.set(i, -INFINITY);
  check_same(Sample{.logits = one.tensor(), .token = nullptr});
  ON_DEVICE({
    const DeviceTensor logits(none.tensor());
    const DeviceBytes token(sizeof(int32_t)), scratch(cuda::sample_scratch(3));
    cuda::sample({.logits = logits.tensor(), .token = token.as<int32_t>()}, scratch.as<void>(),
                 nullptr);
    int32_t answer = 0;
    copy_from_device(&answer, token.as<void>(), sizeof answer);
    CHECK(answer == -1);
  });
}

}  // namespace minicpm::test
