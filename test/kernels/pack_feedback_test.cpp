#include "kernels/pack_feedback.h"

#include "test/kernels/feedback_arrays.h"
#include "test/kernels/test.h"

namespace minicpm::test {

TEST("rounding with feedback changes a linear's outputs less than rounding to nearest") {
  constexpr int kColumns = 160;
  Array x = inputs(512, kColumns), gram = gram_of(x), weights(19, kColumns);
  Random random(5);
  weights.fill(random, -1, 1);
  for (DType format : kPackedFormats) {
    for (int group : {32, 128}) {
      PackedArray nearest(format, group, weights),
          fed = with_feedback(format, group, weights, gram);
      CHECK(output_error(fed, weights, gram) < 0.6 * output_error(nearest, weights, gram));
    }
  }
}

TEST("inputs that do not depend on each other feed nothing back") {
  Array gram(64, 64), weights(16, 64);
  for (size_t i = 0; i < 64; i++) gram.floats()[i * 65] = 1;
  Random random(6);
  weights.fill(random, -1, 1);
  PackedArray nearest(DType::w8, 32, weights), fed = with_feedback(DType::w8, 32, weights, gram);
  CHECK(std::memcmp(nearest.bytes().data(), fed.bytes().data(), fed.bytes().size()) == 0);
}

TEST("weights that a format holds exactly stay as they are, whatever is fed back") {
  Array x = inputs(256, 96), gram = gram_of(x);
  Random random(8);
  for (DType format : kPackedFormats) {
    const FeedbackLevels levels = feedback_levels(format);
    Array weights(5, 96);
    for (int i = 0; i < 5 * 96; i++) {
      const auto span = static_cast<int>(levels.high - levels.low) + 1;
      const auto q = static_cast<float>(random.below(span)) + levels.low;
      weights.floats()[i] = (i % 32 == 0 ? levels.low : q) / 16;
    }
    PackedArray fed = with_feedback(format, 32, weights, gram);
    for (int row = 0; row < 5; row++) {
      for (int i = 0; i < 96; i++) {
        CHECK(fed.row(row).weight(i) == weights.floats()[row * 96 + i]);
      }
    }
  }
}

TEST("packing with feedback is as good as the definition on all sets, the same for all threads") {
  for (int columns : thorough({32, 576, 160})) {
    Array x = inputs(320, columns), gram = gram_of(x);
    Split split(gram, columns);
    for (int64_t rows : {1, 16, 83}) {
      Array weights(rows, columns);
      Random random(9);
      weights.fill(random, -1, 1);
      for (DType format : kPackedFormats) {
        for (int group : thorough({32, 128, 64})) {
          PackedArray expected(format, group, rows, columns);
          reference::pack_feedback(split.op(expected, weights));
          const double error = output_error(expected, weights, gram);
          for (const CpuKernels* set : kernel_sets()) {
            std::vector<unsigned char> first;
            for (int threads : {1, 3}) {
              Workers workers(threads);
              PackedArray y(format, group, rows, columns);
              set->pack_feedback(split.op(y, weights), workers);
              // Where two integers are as near as each other, sums in another order choose another.
              const double found = output_error(y, weights, gram);
              CHECK(std::abs(found - error) < (rows == 1 ? 0.3 : 0.05) * error);
              const unsigned char* bytes = y.bytes().data();
              if (threads == 1) first.assign(bytes, bytes + y.bytes().size());
              CHECK(std::equal(first.begin(), first.end(), bytes));
            }
          }
        }
      }
    }
  }
}

TEST(
    "columns with large inputs rounded first change the outputs less, their groups where they "
    "were") {
  constexpr int kColumns = 160;
  Array x = inputs(512, kColumns);
  for (int t = 0; t < 512; t++) {
    for (int i = 0; i < kColumns; i++) x.floats()[t * kColumns + i] *= i % 7 == 6 ? 8.0f : 1.0f;
  }
  Array gram = gram_of(x), weights(19, kColumns);
  Random random(12);
  weights.fill(random, -1, 1);
  std::vector<int32_t> order(kColumns);
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, {}, [](int32_t i) { return i % 7 != 6; });
  Split as_they_lie(gram, kColumns), largest_first(gram, kColumns, order);
  PackedArray one(DType::w4, 64, 19, kColumns), other(DType::w4, 64, 19, kColumns);
  reference::pack_feedback(as_they_lie.op(one, weights));
  reference::pack_feedback(largest_first.op(other, weights));
  const double error = output_error(other, weights, gram);
  CHECK(error < 0.9 * output_error(one, weights, gram));
  for (const CpuKernels* set : kernel_sets()) {
    Workers workers(2);
    PackedArray y(DType::w4, 64, 19, kColumns);
    set->pack_feedback(largest_first.op(y, weights), workers);
    CHECK(std::abs(output_error(y, weights, gram) - error) < 0.1 * error);
  }
}

TEST("a group with a number that is none has a scale that says so, and disturbs no other") {
  Array x = inputs(256, 96), gram = gram_of(x), weights(3, 96);
  Random random(10);
  weights.fill(random, -1, 1);
  Split split(gram, 96);
  Array broken = weights;
  broken.floats()[96 + 40] = NAN;
  for (const CpuKernels* set : kernel_sets()) {
    Workers workers(1);
    PackedArray whole(DType::w4, 32, 3, 96), y(DType::w4, 32, 3, 96);
    set->pack_feedback(split.op(whole, weights), workers);
    set->pack_feedback(split.op(y, broken), workers);
    CHECK(std::isnan(y.row(1).scale(40)) && y.row(1).q(40) == 0);
    CHECK(!std::isnan(y.row(1).scale(70)));
    for (int i = 0; i < 96; i++) {
      CHECK(y.row(0).weight(i) == whole.row(0).weight(i));
      CHECK(y.row(2).weight(i) == whole.row(2).weight(i));
    }
  }
}

TEST("attention sinks that are evened out cost the others less, and are not ruined") {
  constexpr int kColumns = 128, kWindow = 512, kSinks = 4;
  Array x = inputs(4 * kWindow, kColumns, 600, kWindow), weights(32, kColumns);
  Random random(11);
  weights.fill(random, -1, 1);
  Array raw = gram_of(x);
  even_out(x.tensor());
  Array all = gram_of(x, 0, kWindow), others = gram_of(x, kSinks, kWindow), sinks = all;
  for (size_t i = 0; i < kColumns * kColumns; i++) sinks.floats()[i] -= others.floats()[i];
  for (DType format : {DType::w4, DType::w2}) {
    PackedArray gptq = with_feedback(format, 64, weights, raw);
    PackedArray evened = with_feedback(format, 64, weights, all);
    PackedArray left_out = with_feedback(format, 64, weights, others);
    CHECK(output_error(evened, weights, others) < 0.6 * output_error(gptq, weights, others));
    CHECK(output_error(evened, weights, others) < 1.1 * output_error(left_out, weights, others));
    CHECK(output_error(evened, weights, sinks) < 0.6 * output_error(left_out, weights, sinks));
  }
}

}  // namespace minicpm::test
