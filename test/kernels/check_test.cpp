#include "kernels/attention.h"
#include "kernels/kv_append.h"
#include "kernels/sample.h"
#include "test/kernels/tensors.h"
#include "test/kernels/test.h"

namespace minicpm::test {

namespace {

/// The message of the ShapeError that `check` throws, or "".
template <typename Check>
std::string complaint_of(Check check) {
  try {
    check();
  } catch (const Error& error) {
    CHECK(error.code == ErrorCode::kShape);
    return error.what();
  }
  return "";
}

template <typename Op>
std::string complaint(const Op& op) {
  return complaint_of([&] { op.check(); });
}

}  // namespace

TEST("a tensor of the wrong shape is named with its op, what was expected and what was found") {
  Array y(2, 8), x(2, 8), weight(1, 7);
  CHECK(complaint(RmsNorm{y.tensor(), x.tensor(), weight.tensor(), 1e-5f}) ==
        "rms_norm: weight should be [1, 8] f32, is [1, 7] f32");
}

TEST("a tensor of the wrong dtype or without data is refused") {
  Array y(2, 8), x(2, 8), half(2, 8, DType::f16);
  CHECK(complaint(SiluMul{y.tensor(), half.tensor(), x.tensor()}) ==
        "silu_mul: gate should be [2, 8] f32, is [2, 8] f16");
  CHECK(complaint(SiluMul{y.tensor(), x.tensor(), Tensor{nullptr, DType::f32, 2, 8}}) ==
        "silu_mul: up has no data");
}

TEST("embed and log_prob refuse tokens outside the vocabulary") {
  Array y(1, 4), tokens(1, 1, DType::i32), table(3, 4), logits(1, 3), result(1, 1);
  for (int32_t token : {-1, 3}) {
    tokens.ints()[0] = token;
    const Embed embed{y.tensor(), tokens.tensor(), table.tensor(), 1};
    CHECK(complaint(embed) == "");
    CHECK(complaint_of([&] { embed.check_tokens(); }) ==
          "embed: tokens should be in [0, 3), token 0 is " + std::to_string(token));
    const LogProb log_prob{result.tensor(), logits.tensor(), tokens.tensor()};
    CHECK(complaint(log_prob) == "");
    CHECK(complaint_of([&] { log_prob.check_targets(); }) ==
          "log_prob: targets should be in [0, 3), target 0 is " + std::to_string(token));
  }
}

TEST("linear refuses an inner dimension that differs, whole-number weights and y over x") {
  Array y(1, 3), x(1, 4), weight(3, 5), whole(3, 4, DType::i32), square(4, 4);
  CHECK(complaint(Linear{y.tensor(), x.tensor(), weight.tensor(), {}, 1}) ==
        "linear: x should be [1, 5] f32, is [1, 4] f32");
  CHECK(complaint(Linear{y.tensor(), x.tensor(), whole.tensor(), {}, 1}) ==
        "linear: weight should be f32, f16, bf16 or packed");
  CHECK(complaint(Linear{x.tensor(), x.tensor(), square.tensor(), {}, 1}) ==
        "linear: y and x should not be the same memory");
}

TEST("rope refuses an odd head_dim and angles of another size") {
  Array x(1, 16), angles(1, 4), short_angles(1, 3);
  CHECK(complaint(Rope{x.tensor(), angles.tensor(), angles.tensor(), 7}) ==
        "rope: head_dim should be positive and even");
  CHECK(complaint(Rope{x.tensor(), angles.tensor(), short_angles.tensor(), 8}) ==
        "rope: sin should be [1, 4] f32, is [1, 3] f32");
}

TEST("attention and kv_append refuse a layer, a head_dim or segments that do not fit") {
  Array q(2, 16), k(2, 8);
  std::byte* block = nullptr;
  const Segment good{0, 2, 0, &block}, late{1, 2, 0, &block}, bare{0, 2, 0, nullptr};
  const auto attention = [&](KvLayout layout, int layer, const Segment& segment) {
    return complaint(Attention{q.tensor(), q.tensor(), {&segment, 1}, layout, layer, 1});
  };
  const KvLayout layout{DType::f16, 1, 1, 8};
  CHECK(attention(layout, 0, good) == "");
  CHECK(attention(layout, 1, good) == "attention: layer should be in [0, 1), is 1");
  CHECK(attention({DType::f16, 1, 1, 4}, 0, good) ==
        "attention: head_dim should be a positive multiple of 8");
  CHECK(attention({DType::bf16, 1, 1, 8}, 0, good) ==
        "attention: the KV layout's dtype should be f32, f16 or i8");
  for (const int head_dim : {8, 2080}) {
    CHECK(
        attention({DType::i8, 1, 1, head_dim}, 0, good) ==
        "attention: head_dim should be a multiple of 32 and at most 2048 for int8 keys and values");
  }
  CHECK(attention({DType::f16, 1, 3, 8}, 0, good) ==
        "attention: q should have a multiple of kv_heads * head_dim columns");
  CHECK(attention(layout, 0, late) ==
        "attention: segments should be in order within [0, 2), one has row 1, count 2, position 0");
  CHECK(attention(layout, 0, bare) == "attention: a segment has no blocks");
  CHECK(complaint(KvAppend{k.tensor(), q.tensor(), {&good, 1}, layout, 0}) ==
        "kv_append: v should be [2, 8] f32, is [2, 16] f32");
}

TEST("sample refuses options outside their range and tokens outside the vocabulary") {
  Array logits(1, 4);
  int32_t token = -1;
  const TokenBias bias{4, 1};
  const TokenCount count{-1, 1, 1};
  CHECK(complaint(Sample{.logits = logits.tensor(), .token = &token}) == "");
  CHECK(complaint(Sample{.logits = logits.tensor(), .biases = {&bias, 1}, .token = &token}) ==
        "sample: tokens of biases should be in [0, 4), one is 4");
  CHECK(complaint(Sample{.logits = logits.tensor(), .counts = {&count, 1}, .token = &token}) ==
        "sample: tokens of counts should be in [0, 4), one is -1");
  CHECK(complaint(Sample{.logits = logits.tensor(), .temperature = -1, .token = &token}) ==
        "sample: temperature should be finite and not negative");
  CHECK(complaint(Sample{.logits = logits.tensor(), .top_p = 1.5f, .token = &token}) ==
        "sample: top_p should be in [0, 1]");
  CHECK(complaint(Sample{.logits = logits.tensor(), .token = nullptr}) ==
        "sample: token has no place to go");
}

}  // namespace minicpm::test
