// The whole engine on the emulated device, every access checked, beside the reference's numbers.
#include <algorithm>
#include <cmath>

#include "kernels/simt/memory.h"
#include "native/cuda/cuda_backend.h"
#include "test/native/tiny_model.h"

namespace minicpm::test {
namespace {

/// From the third block on, a block before is chosen.
constexpr SparseRule kRule{.init_blocks = 0, .local_blocks = 0, .top_k = 2, .dense_len = 0};

/// The reference's model, on the emulated device.
TinyModel on_cuda(std::optional<SparseRule> sparse = std::nullopt, const Packing& packing = {},
                  const std::string& quantized = "none", DType kv_type = DType::f32) {
  TinyModel tiny("reference", 1, sparse, packing, DType::f32, "", quantized);
  tiny.plan.kv_type = kv_type;
  tiny.backend = [] { return cuda::make_cuda_backend(0); };
  tiny.model = tiny.load();
  return tiny;
}

/// The largest difference, as a part of the largest number.
double apart(const std::vector<float>& found, const std::vector<float>& expected) {
  double difference = 0, largest = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference = std::max(difference, std::abs(double{found[i]} - expected[i]));
    largest = std::max(largest, std::abs(double{expected[i]}));
  }
  return difference / largest;
}

TEST("a model on CUDA gives the reference's logits, dense and sparse, packed and not") {
  const std::vector<int32_t> tokens = random_tokens(150, 3);
  const struct {
    std::optional<SparseRule> sparse;
    DType format;
    std::string quantized;
  } models[] = {{{}, DType::f32, "none"}, {{}, DType::w4, "attn"}, {kRule, DType::f32, "embed"}};
  for (const auto& [sparse, format, quantized] : models) {
    TinyModel reference("reference", 1, sparse, {format, 32}, DType::f32, "", quantized);
    TinyModel tiny = on_cuda(sparse, {format, 32}, quantized);
    const auto expected = reference.model->create_sequence(200);
    const auto found = tiny.model->create_sequence(200);
    prefill(*expected, tokens);
    prefill(*found, tokens);
    CHECK(apart(found->logits(), expected->logits()) < 1e-4);
    CHECK(apart(found->hidden(), expected->hidden()) < 1e-4);
    CHECK(decode(*found, 6) == decode(*expected, 6));
  }
}

TEST("on CUDA keys and values in f16 are close to those in f32") {
  const std::vector<int32_t> tokens = random_tokens(70, 3);
  TinyModel reference("reference");
  const auto expected = reference.model->create_sequence(100);
  prefill(*expected, tokens);
  TinyModel halves = on_cuda({}, {}, "none", DType::f16);
  const auto found = halves.model->create_sequence(100);
  prefill(*found, tokens);
  CHECK(apart(found->logits(), expected->logits()) < 1e-2);
}

TEST("on CUDA logits are the same bits however the prompt is cut, run again, forked and cut back") {
  TinyModel tiny = on_cuda(kRule);
  const std::vector<int32_t> tokens = random_tokens(150, 3);
  const auto whole = tiny.model->create_sequence(200);
  prefill(*whole, tokens);
  const std::vector<float> expected = whole->logits();

  tiny.plan.cache_bytes = 0;
  tiny.model->close();
  tiny.model = tiny.load();
  const auto cut = tiny.model->create_sequence(200);
  for (size_t at = 0; at < tokens.size(); at += 37) {
    const size_t end = std::min(at + 37, tokens.size());
    prefill(*cut,
            {tokens.begin() + static_cast<long>(at), tokens.begin() + static_cast<long>(end)});
  }
  CHECK(cut->logits() == expected);
  const auto fork = cut->fork();
  CHECK(fork->logits() == expected);
  const std::vector<int32_t> made = decode(*fork, 5);
  CHECK(made == decode(*cut, 5));
  fork->truncate(70);
  prefill(*fork, {tokens.begin() + 70, tokens.end()});
  CHECK(fork->logits() == expected);
}

TEST("on CUDA a sequence decodes the same tokens alone and among others, the reference's") {
  TinyModel tiny = on_cuda(), reference("reference");
  SamplingOptions sampling{.temperature = 1,
                           .top_k = 20,
                           .top_p = 0.95f,
                           .repetition_penalty = 1.1f,
                           .presence_penalty = 0.3f,
                           .seed = 5,
                           .biases = {{3, 2.f}, {7, -4.f}},
                           .logprobs = 2};
  std::vector<std::vector<int32_t>> alone;
  for (int i = 0; i < 3; ++i) {
    const auto expected = reference.model->create_sequence(64);
    const auto sequence = tiny.model->create_sequence(64);
    for (const auto& each : {expected, sequence}) {
      prefill(*each, random_tokens(20 + i, static_cast<uint32_t>(i)));
    }
    alone.push_back(decode(*sequence, 12, sampling));
    CHECK(alone.back() == decode(*expected, 12, sampling));
  }
  std::vector<std::shared_ptr<Sequence>> sequences;
  std::vector<std::unique_ptr<Waiter>> prefills, waiters;
  for (int i = 0; i < 3; ++i) {
    sequences.push_back(tiny.model->create_sequence(64));
    prefills.push_back(std::make_unique<Waiter>());
    waiters.push_back(std::make_unique<Waiter>());
    sequences.back()->submit(PrefillWork{.tokens = random_tokens(20 + i, static_cast<uint32_t>(i))},
                             prefills.back()->listener());
    sequences.back()->submit(DecodeWork{.count = 12, .sampling = sampling},
                             waiters.back()->listener());
  }
  for (size_t i = 0; i < waiters.size(); ++i) {
    waiters[i]->wait();
    CHECK(waiters[i]->tokens == alone[i]);
  }
}

TEST("on CUDA masks hold, and where no token is left the work fails and the engine goes on") {
  TinyModel tiny = on_cuda();
  const auto sequence = tiny.model->create_sequence(64);
  prefill(*sequence, random_tokens(10, 1));
  SampleWork only{.sampling = {.temperature = 1}, .mask = {0, 0, 1u << 5}};
  Waiter masked;
  sequence->submit(std::move(only), masked.listener());
  masked.wait();
  CHECK(masked.tokens == std::vector<int32_t>{2 * 32 + 5});
  SampleWork none{.sampling = {.logprobs = 2}, .mask = {0, 0, 0}};
  Waiter refused;
  sequence->submit(std::move(none), refused.listener());
  CHECK_THROWS(ErrorCode::kState, refused.wait());
  CHECK(decode(*sequence, 4).size() == 4);
}

TEST("on CUDA scores are the reference's") {
  const std::vector<int32_t> tokens = random_tokens(40, 6);
  std::vector<float> numbers[2];
  TinyModel reference("reference"), tiny = on_cuda();
  for (int i = 0; i < 2; ++i) {
    for (const auto also : {PrefillWork::Also::log_probs, PrefillWork::Also::mean_hidden}) {
      const auto sequence = (i == 0 ? reference : tiny).model->create_sequence(64);
      Waiter waiter;
      sequence->submit(PrefillWork{.tokens = tokens, .also = also}, waiter.listener());
      waiter.wait();
      const size_t skipped = also == PrefillWork::Also::log_probs;  // NaN: nothing is before it
      numbers[i].insert(numbers[i].end(), waiter.numbers.begin() + static_cast<long>(skipped),
                        waiter.numbers.end());
    }
  }
  CHECK(numbers[0].size() == 39 + 64);
  CHECK(apart(numbers[1], numbers[0]) < 1e-4);
}

TEST("a device's memory holds what the host copies there, also more than passes at once") {
  const auto backend = cuda::make_cuda_backend(0);
  Memory& memory = backend->memory();
  constexpr size_t kBytes = (size_t{9} << 20) + 5;  // 4 MiB pass at once
  std::vector<std::byte> given(kBytes), found(kBytes);
  for (size_t i = 0; i < kBytes; ++i) given[i] = static_cast<std::byte>(i % 251);
  const int64_t before = memory.free_bytes();
  {
    const Buffer one(memory, kBytes), other(memory, kBytes);
    memory.upload(one.data(), given.data(), kBytes);
    memory.copy(other.data(), one.data(), kBytes);
    memory.zero(other.data() + 10, {.bytes = 3, .count = 4, .pitch = 7});
    memory.download(found.data(), other.data(), kBytes);
    memory.synchronize();
    for (long i = 0; i < 4; ++i) std::fill_n(given.begin() + 10 + 7 * i, 3, std::byte{0});
    CHECK(found == given);
  }
  CHECK(memory.free_bytes() == before);
  const Buffer again(memory, kBytes);  // kept memory, zeros once more
  memory.download(found.data(), again.data(), kBytes);
  memory.synchronize();
  CHECK(std::ranges::all_of(found, [](std::byte byte) { return byte == std::byte{0}; }));
}

TEST(
    "a model on CUDA gives back all of the device's memory, and is refused where it does not fit") {
  const size_t before = simt::device_bytes_in_use();
  {
    TinyModel tiny = on_cuda();
    const auto sequence = tiny.model->create_sequence(64);
    prefill(*sequence, random_tokens(10, 1));
    CHECK(simt::device_bytes_in_use() > before);
    const int64_t free = tiny.model->backend().memory().free_bytes();
    CHECK_THROWS(ErrorCode::kOutOfMemory, tiny.model->create_sequence(int64_t{1} << 30));
    CHECK_THROWS(ErrorCode::kOutOfMemory,
                 Buffer(tiny.model->backend().memory(), static_cast<size_t>(free) + 1));
    setenv("MINICPM_EMULATED_BYTES", "100000", 1);
    CHECK_THROWS(ErrorCode::kOutOfMemory, tiny.load());
    unsetenv("MINICPM_EMULATED_BYTES");
    CHECK(decode(*sequence, 4).size() == 4);
  }
  CHECK(simt::device_bytes_in_use() == before);
}

}  // namespace
}  // namespace minicpm::test
