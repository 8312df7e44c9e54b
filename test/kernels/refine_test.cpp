#include "kernels/refine.h"

#include "test/kernels/feedback_arrays.h"
#include "test/kernels/test.h"

namespace minicpm::test {

namespace {

/// The gram matrix whole, its diagonal damped.
Array whole(Array& gram) {
  const int64_t columns = gram.tensor().columns;
  Array result(columns, columns);
  for (int64_t i = 0; i < columns; i++) {
    for (int64_t j = 0; j < columns; j++) {
      const float number = gram.floats()[std::max(i, j) * columns + std::min(i, j)];
      result.floats()[i * columns + j] = i == j ? number * 1.01f + 1e-3f : number;
    }
  }
  return result;
}

Refine refined(PackedArray& y, Array& weights, Array& hessian, int passes) {
  return {y.tensor(), weights.tensor(), hessian.tensor(), passes};
}

}  // namespace

TEST(
    "a pass never makes the change of a linear's outputs larger, and the first one makes it less") {
  constexpr int kColumns = 160;
  Array x = inputs(512, kColumns), gram = gram_of(x), hessian = whole(gram), weights(19, kColumns);
  Random random(5);
  weights.fill(random, -1, 1);
  for (DType format : kPackedFormats) {
    for (int group : {32, 128}) {
      PackedArray y = with_feedback(format, group, weights, gram);
      double before = output_error(y, weights, hessian);
      for (int pass = 0; pass < 3; pass++) {
        reference::refine(refined(y, weights, hessian, 1));
        const double after = output_error(y, weights, hessian);
        CHECK(after <= before * (1 + 1e-6));
        if (pass == 0) CHECK(after < 0.97 * before);
        before = after;
      }
    }
  }
}

TEST("weights that are held exactly stay as they are") {
  Array x = inputs(256, 96), gram = gram_of(x), hessian = whole(gram), weights(5, 96);
  Random random(8);
  for (DType format : kPackedFormats) {
    PackedArray y(format, 32, 5, 96);
    y.fill(random, 0.05f);
    for (int row = 0; row < 5; row++) {
      for (int i = 0; i < 96; i++) {
        if (format == DType::w8 && y.row(row).q(i) == -128) y.set(row, i, 0);
        weights.floats()[row * 96 + i] = y.row(row).weight(i);
      }
    }
    for (const CpuKernels* set : kernel_sets()) {
      Workers workers(1);
      PackedArray again = y;
      set->refine(refined(again, weights, hessian, 2), workers);
      CHECK(std::memcmp(again.bytes().data(), y.bytes().data(), y.bytes().size()) == 0);
    }
  }
}

TEST("refining is as good as the definition on all sets, the same for all threads") {
  for (int columns : {32, 160, 576}) {
    Array x = inputs(320, columns), gram = gram_of(x), hessian = whole(gram);
    for (int64_t rows : {1, 16, 83}) {
      Array weights(rows, columns);
      Random random(9);
      weights.fill(random, -1, 1);
      for (DType format : kPackedFormats) {
        for (int group : {32, 64, 128}) {
          PackedArray nearest(format, group, weights), expected = nearest;
          reference::refine(refined(expected, weights, hessian, 2));
          const double error = output_error(expected, weights, hessian);
          CHECK(error < output_error(nearest, weights, hessian));
          for (const CpuKernels* set : kernel_sets()) {
            std::vector<unsigned char> first;
            for (int threads : {1, 3}) {
              Workers workers(threads);
              PackedArray y = nearest;
              set->refine(refined(y, weights, hessian, 2), workers);
              // Where two integers are as good as each other, sums in another order choose another.
              const double found = output_error(y, weights, hessian);
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

TEST("a group whose scale says that it holds no numbers stays, and disturbs no other") {
  Array x = inputs(256, 96), gram = gram_of(x), hessian = whole(gram), weights(3, 96);
  Random random(10);
  weights.fill(random, -1, 1);
  Array broken = weights;
  broken.floats()[96 + 40] = NAN;
  PackedArray whole_nearest(DType::w4, 32, weights), broken_nearest(DType::w4, 32, broken);
  for (const CpuKernels* set : kernel_sets()) {
    Workers workers(1);
    PackedArray whole = whole_nearest, y = broken_nearest;
    set->refine(refined(whole, weights, hessian, 2), workers);
    set->refine(refined(y, broken, hessian, 2), workers);
    CHECK(std::isnan(y.row(1).scale(40)) && y.row(1).q(40) == 0);
    CHECK(!std::isnan(y.row(1).scale(70)));
    for (int i = 0; i < 96; i++) {
      CHECK(y.row(0).weight(i) == whole.row(0).weight(i));
      CHECK(y.row(2).weight(i) == whole.row(2).weight(i));
    }
  }
}

}  // namespace minicpm::test
