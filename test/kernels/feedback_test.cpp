#include "kernels/feedback.h"

#include "test/kernels/tensors.h"
#include "test/kernels/test.h"

namespace minicpm::test {

namespace {

/// A gram matrix of inputs that depend on each other.
Array some_gram(int columns, int tokens) {
  Random random(7);
  Array x(tokens, columns), gram(columns, columns);
  for (int t = 0; t < tokens; t++) {
    float before = 0;
    for (int i = 0; i < columns; i++) {
      before = 0.7f * before + random.between(-1, 1);
      x.floats()[t * columns + i] = before;
    }
  }
  reference::gram({gram.tensor(), x.tensor()});
  return gram;
}

struct Split {
  explicit Split(const Array& gram, int columns) : coefficients(gram), importance(1, columns) {
    work.resize(static_cast<size_t>(columns) * static_cast<size_t>(columns));
  }
  Feedback op(float damping) {
    return {coefficients.tensor(), importance.tensor(), damping, work.data()};
  }

  Array coefficients, importance;
  std::vector<double> work;
};

}  // namespace

TEST("feedback's factors multiply to the damped gram matrix") {
  constexpr int kColumns = 64;
  Array gram = some_gram(kColumns, 200);
  Split split(gram, kColumns);
  reference::feedback(split.op(0.01f));
  double trace = 0;
  for (int i = 0; i < kColumns; i++) trace += gram.floats()[i * kColumns + i];
  const auto u = [&](int j, int k) -> double {
    return j == k ? 1 : j < k ? split.coefficients.floats()[k * kColumns + j] : 0;
  };
  for (int i = 0; i < kColumns; i++) {
    for (int j = 0; j <= i; j++) {
      double product = 0;
      for (int k = 0; k < kColumns; k++)
        product += u(i, k) * split.importance.floats()[k] * u(j, k);
      const double expected =
          gram.floats()[i * kColumns + j] + (i == j ? 0.01 * trace / kColumns : 0);
      CHECK(std::abs(product - expected) < 1e-5 * trace / kColumns);
    }
  }
}

TEST("feedback equals the definition on all sets and threads") {
  for (int columns : {32, 96, 256, 704}) {
    Array gram = some_gram(columns, 100);  // of rank 100, but for the damping
    Split expected(gram, columns);
    reference::feedback(expected.op(0.01f));
    for (const CpuKernels* set : kernel_sets()) {
      for (int threads : {1, 3}) {
        Workers workers(threads);
        Split split(gram, columns);
        set->feedback(split.op(0.01f), workers);
        CHECK(worst_error(split.importance.tensor(), expected.importance.tensor(), 1e-6) < 1e-5);
        CHECK(worst_error(split.coefficients.tensor(), expected.coefficients.tensor(), 1) < 1e-5);
      }
    }
  }
}

TEST("feedback of inputs that were all 0 is none") {
  Split split(Array(32, 32), 32);
  Workers workers(1);
  kernel_sets()[0]->feedback(split.op(0.01f), workers);
  for (size_t i = 0; i < 32 * 32; i++) CHECK(split.coefficients.floats()[i] == 0);
  for (size_t i = 0; i < 32; i++) CHECK(split.importance.floats()[i] == 1);
}

}  // namespace minicpm::test
