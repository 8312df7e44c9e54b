#include <algorithm>
#include <cmath>
#include <cstring>
#include <thread>

#include "test/kernels/test.h"
#include "test/native/allocations.h"
#include "test/native/tiny_model.h"

namespace minicpm::test {
namespace {

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST("logits are the same bits however the prompt is cut") {
  for (const char* device : {"reference", "cpu", "guarded"}) {
    TinyModel tiny(device);
    const std::vector<int32_t> tokens = random_tokens(150, 3);
    const auto whole = tiny.model->create_sequence(200);
    prefill(*whole, tokens);
    for (const size_t chunk : {1, 7, 64}) {
      const auto cut = tiny.model->create_sequence(200);
      for (size_t at = 0; at < tokens.size(); at += chunk) {
        const size_t end = std::min(at + chunk, tokens.size());
        prefill(*cut,
                {tokens.begin() + static_cast<long>(at), tokens.begin() + static_cast<long>(end)});
      }
      CHECK(same_bits(whole->logits(), cut->logits()));
      CHECK(same_bits(whole->hidden(), cut->hidden()));
    }
  }
}

TEST_ON_DEVICES("a sequence decodes the same tokens alone and among others") {
  TinyModel tiny(device, 2);
  SamplingOptions sampling{.temperature = 1, .seed = 5};
  std::vector<std::vector<int32_t>> alone;
  for (int i = 0; i < 4; ++i) {
    const auto sequence = tiny.model->create_sequence(128);
    prefill(*sequence, random_tokens(20 + i, static_cast<uint32_t>(i)));
    alone.push_back(decode(*sequence, 60, sampling));
  }
  std::vector<std::shared_ptr<Sequence>> sequences;
  std::vector<std::unique_ptr<Waiter>> prefills, waiters;
  for (int i = 0; i < 4; ++i) {
    sequences.push_back(tiny.model->create_sequence(128));
    prefills.push_back(std::make_unique<Waiter>());
    waiters.push_back(std::make_unique<Waiter>());
    sequences.back()->submit(PrefillWork{.tokens = random_tokens(20 + i, static_cast<uint32_t>(i))},
                             prefills.back()->listener());
    sequences.back()->submit(DecodeWork{.count = 60, .sampling = sampling},
                             waiters.back()->listener());
  }
  for (size_t i = 0; i < waiters.size(); ++i) {
    waiters[i]->wait();
    CHECK(waiters[i]->tokens == alone[i]);
  }
}

TEST_ON_DEVICES("decoding in two calls gives what one call gives") {
  TinyModel tiny(device);
  SamplingOptions sampling{
      .temperature = 0.8f, .repetition_penalty = 1.1f, .presence_penalty = 0.3f, .seed = 9};
  const auto once = tiny.model->create_sequence(100);
  prefill(*once, random_tokens(10, 1));
  const std::vector<int32_t> all = decode(*once, 40, sampling);

  const auto twice = tiny.model->create_sequence(100);
  prefill(*twice, random_tokens(10, 1));
  std::vector<int32_t> parts = decode(*twice, 15, sampling);
  const std::vector<int32_t> rest = decode(*twice, 25, sampling);
  parts.insert(parts.end(), rest.begin(), rest.end());
  CHECK(parts == all);
}

TEST("a decode and a sample without a token to choose fail, and the engine goes on") {
  for (const char* device : {"reference", "cpu", "guarded"}) {
    TinyModel tiny(device);
    const auto sequence = tiny.model->create_sequence(64);
    prefill(*sequence, random_tokens(10, 1));
    SamplingOptions nothing{.logprobs = 2};
    for (int32_t token = 0; token < static_cast<int32_t>(tiny.plan.config.vocab_size); ++token) {
      nothing.biases.push_back({token, -INFINITY});
    }
    CHECK_THROWS(ErrorCode::kState, decode(*sequence, 4, nothing));
    Waiter sampled;
    sequence->submit(SampleWork{.sampling = nothing}, sampled.listener());
    CHECK_THROWS(ErrorCode::kState, sampled.wait());

    const auto other = tiny.model->create_sequence(64);
    prefill(*other, random_tokens(10, 1));
    CHECK(decode(*sequence, 4) == decode(*other, 4));
  }
}

TEST_ON_DEVICES("step and sample are the two halves of decode") {
  TinyModel tiny(device);
  const auto whole = tiny.model->create_sequence(64);
  prefill(*whole, random_tokens(5, 2));
  const std::vector<int32_t> expected = decode(*whole, 10);

  const auto halves = tiny.model->create_sequence(64);
  prefill(*halves, random_tokens(5, 2));
  std::vector<int32_t> found;
  for (int i = 0; i < 10; ++i) {
    if (i > 0) {
      Waiter step;
      halves->submit(StepWork{}, step.listener());
      step.wait();
    }
    Waiter sample;
    halves->submit(SampleWork{}, sample.listener());
    sample.wait();
    found.push_back(sample.tokens.at(0));
  }
  CHECK(found == expected);
}

TEST_ON_DEVICES("truncate and redo gives the same bits as never having gone on") {
  TinyModel tiny(device);
  const std::vector<int32_t> tokens = random_tokens(100, 4);
  const auto plain = tiny.model->create_sequence(128);
  prefill(*plain, tokens);
  const auto redone = tiny.model->create_sequence(128);
  prefill(*redone, {tokens.begin(), tokens.begin() + 70});
  prefill(*redone, random_tokens(50, 8));
  redone->truncate(70);
  CHECK(redone->length() == 70);
  prefill(*redone, {tokens.begin() + 70, tokens.end()});
  CHECK(same_bits(plain->logits(), redone->logits()));
}

TEST_ON_DEVICES("scores are the log-probabilities of logits") {
  TinyModel tiny(device);
  const std::vector<int32_t> tokens = random_tokens(40, 6);
  const auto sequence = tiny.model->create_sequence(64);
  Waiter waiter;
  sequence->submit(PrefillWork{.tokens = tokens, .also = PrefillWork::Also::log_probs},
                   waiter.listener());
  waiter.wait();
  CHECK(std::isnan(waiter.numbers.at(0)));
  for (const size_t at : {1, 17, 39}) {
    const auto prefix = tiny.model->create_sequence(64);
    prefill(*prefix, {tokens.begin(), tokens.begin() + static_cast<long>(at)});
    const std::vector<float> logits = prefix->logits();
    double sum = 0;
    for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
    const double expected = logits[static_cast<size_t>(tokens[at])] - std::log(sum);
    CHECK(std::abs(waiter.numbers.at(at) - expected) < 1e-5);
  }
}

TEST_ON_DEVICES("the mean of hidden states is the mean of each prefix's last") {
  TinyModel tiny(device, 2);
  const std::vector<int32_t> tokens = random_tokens(40, 6);
  const auto sequence = tiny.model->create_sequence(64);
  Waiter waiter;
  sequence->submit(PrefillWork{.tokens = tokens, .also = PrefillWork::Also::mean_hidden},
                   waiter.listener());
  waiter.wait();
  std::vector<double> mean(64);
  const auto prefix = tiny.model->create_sequence(64);
  for (const int32_t token : tokens) {
    prefill(*prefix, {token});
    const std::vector<float> hidden = prefix->hidden();
    for (size_t i = 0; i < mean.size(); ++i) mean[i] += hidden[i] / 40;
  }
  CHECK(waiter.numbers.size() == 64);
  for (size_t i = 0; i < mean.size(); ++i) CHECK(std::abs(waiter.numbers.at(i) - mean[i]) < 1e-4);
}

TEST_ON_DEVICES("a decode stops at a stop token and keeps it") {
  TinyModel tiny(device);
  const auto sequence = tiny.model->create_sequence(64);
  prefill(*sequence, random_tokens(5, 2));
  const std::vector<int32_t> free = decode(*sequence, 8);
  sequence->truncate(4);
  prefill(*sequence, {random_tokens(5, 2).at(4)});
  Waiter waiter;
  sequence->submit(DecodeWork{.count = 8, .stop_tokens = {free.at(3)}}, waiter.listener());
  CHECK(waiter.wait() == Outcome::stop);
  const auto first = std::find(free.begin(), free.end(), free.at(3));
  CHECK(waiter.tokens == std::vector<int32_t>(free.begin(), first + 1));
}

TEST_ON_DEVICES("what does not fit the capacity is refused before it starts") {
  TinyModel tiny(device);
  const auto sequence = tiny.model->create_sequence(16);
  CHECK_THROWS(ErrorCode::kContext, prefill(*sequence, random_tokens(17, 1)));
  CHECK(sequence->length() == 0);
  prefill(*sequence, random_tokens(10, 1));
  CHECK_THROWS(ErrorCode::kContext, decode(*sequence, 8));
  CHECK(decode(*sequence, 7).size() == 7);
}

TEST_ON_DEVICES("calls out of order are refused by name") {
  TinyModel tiny(device);
  const auto sequence = tiny.model->create_sequence(16);
  CHECK_THROWS(ErrorCode::kState, decode(*sequence, 1));
  CHECK_THROWS(ErrorCode::kState, sequence->logits());
  CHECK_THROWS(ErrorCode::kState, sequence->truncate(1));
  sequence->dispose();
  CHECK_THROWS(ErrorCode::kState, prefill(*sequence, {1}));
}

TEST_ON_DEVICES("after a cancel at most two layers' ops start, and the sequence goes on") {
  TinyModel tiny(device == "cpu" ? "reference" : device);
  const std::vector<int32_t> tokens = random_tokens(400, 7);
  const auto expected = tiny.model->create_sequence(512);
  prefill(*expected, tokens);

  const auto sequence = tiny.model->create_sequence(512);
  Waiter waiter;
  sequence->submit(PrefillWork{.tokens = tokens}, waiter.listener());
  while (tiny.model->ops_started() == 0) std::this_thread::yield();
  sequence->cancel();
  const int64_t before = tiny.model->ops_started();
  const Outcome outcome = waiter.wait();
  const int64_t started = tiny.model->ops_started() - before;
  CHECK(outcome == Outcome::cancelled || outcome == Outcome::done);
  if (outcome == Outcome::cancelled) CHECK(started <= 2 * 14);
  const auto held = static_cast<size_t>(sequence->length());
  CHECK(held <= tokens.size());
  if (held < tokens.size())
    prefill(*sequence, {tokens.begin() + static_cast<long>(held), tokens.end()});
  CHECK(same_bits(expected->logits(), sequence->logits()));
}

TEST("a decode step allocates nothing") {
  TinyModel tiny("cpu", 2);
  const auto sequence = tiny.model->create_sequence(512);
  prefill(*sequence, random_tokens(10, 1));
  const SamplingOptions sampling{
      .temperature = 0.9f, .top_k = 20, .top_p = 0.9f, .repetition_penalty = 1.1f};
  decode(*sequence, 150, sampling);  // warms up
  Waiter waiter;
  waiter.tokens.reserve(1024);
  sequence->submit(DecodeWork{.count = 200, .sampling = sampling}, waiter.listener());
  while (sequence->length() < 180) std::this_thread::yield();
  const int64_t before = allocations();
  while (sequence->length() < 280) std::this_thread::yield();
  CHECK(allocations() - before == 0);
  waiter.wait();
}

TEST_ON_DEVICES("disposing during a decode ends it and frees the blocks") {
  TinyModel tiny(device, 2);
  for (int i = 0; i < 50; ++i) {
    const auto sequence = tiny.model->create_sequence(512);
    prefill(*sequence, random_tokens(100, 1));
    Waiter waiter;
    waiter.hold();
    sequence->submit(DecodeWork{.count = 400}, waiter.listener());
    sequence->dispose();
    waiter.release();
    CHECK(waiter.wait() == Outcome::cancelled);
    CHECK(tiny.model->store().usage().held == 0);
    CHECK(tiny.model->store().usage().promised == 0);
  }
}

TEST_ON_DEVICES("closing the model ends everything that runs") {
  TinyModel tiny(device, 2);
  const auto a = tiny.model->create_sequence(512), b = tiny.model->create_sequence(512);
  Waiter first, second;
  a->submit(PrefillWork{.tokens = random_tokens(400, 1)}, first.listener());
  b->submit(PrefillWork{.tokens = random_tokens(400, 2)}, second.listener());
  tiny.model->close();
  first.wait();
  second.wait();
  CHECK_THROWS(ErrorCode::kState, tiny.model->create_sequence(8));
  CHECK_THROWS(ErrorCode::kState, a->logits());
}

TEST_ON_DEVICES("calls from another thread during work are refused or safe") {
  TinyModel tiny(device, 2);
  const auto sequence = tiny.model->create_sequence(512);
  Waiter waiter;
  sequence->submit(PrefillWork{.tokens = random_tokens(500, 1)}, waiter.listener());
  int refused = 0;
  for (int i = 0; i < 100; ++i) {
    try {
      sequence->tokens();
    } catch (const Error&) {
      ++refused;
    }
    CHECK(sequence->length() <= 500);
  }
  waiter.wait();
  CHECK(sequence->tokens().size() == 500);
}

}  // namespace
}  // namespace minicpm::test
