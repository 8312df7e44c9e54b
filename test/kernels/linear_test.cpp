#include "test/kernels/tensors.h"
#include "test/kernels/test.h"

namespace minicpm::test {

namespace {

/// Of the sum of the products' magnitudes: what float accumulation in 4 to 16 lanes may lose.
constexpr double kTolerance = 2e-6;

struct Case {
  int tokens, in, out;
  DType dtype;
  Array x, weight, residual, expected, magnitude;

  Case(Random& random, int tokens, int in, int out, DType dtype)
      : tokens(tokens),
        in(in),
        out(out),
        dtype(dtype),
        x(tokens, in),
        weight(out, in, dtype),
        residual(tokens, out),
        expected(tokens, out),
        magnitude(tokens, out) {
    x.fill(random, -1, 1);
    weight.fill(random, -1, 1);
    residual.fill(random, -1, 1);
    reference::linear(op(expected));
    Array x_size = x, weight_size(out, in), residual_size = residual;
    for (size_t i = 0; i < x.size(); i++) x_size.set(i, std::abs(x.floats()[i]));
    for (size_t i = 0; i < weight.size(); i++) {
      weight_size.set(i, std::abs(reference::element(weight.tensor().data, dtype, i)));
    }
    for (size_t i = 0; i < residual.size(); i++) {
      residual_size.set(i, std::abs(residual.floats()[i]));
    }
    reference::linear(
        {magnitude.tensor(), x_size.tensor(), weight_size.tensor(), residual_size.tensor(), 0.25f});
  }

  Linear op(Array& y) {
    return {y.tensor(), x.tensor(), weight.tensor(), residual.tensor(), 0.25f};
  }

  bool close(Array& y) {
    for (size_t i = 0; i < y.size(); i++) {
      const double error = std::abs(double{y.floats()[i]} - expected.floats()[i]);
      if (!(error <= kTolerance * magnitude.floats()[i])) return false;
    }
    return true;
  }
};

}  // namespace

TEST("linear is close to the definition for any shape and dtype on every set") {
  Random random(1);
  const int shapes[][3] = {{1, 1, 1},      {1, 172, 64},   {2, 64, 172},  {3, 17, 5},
                           {6, 33, 7},     {7, 172, 13},   {13, 1040, 9}, {64, 100, 70},
                           {20, 576, 192}, {1, 1024, 128}, {9, 4100, 33}, {1, 4096, 1024}};
  for (const auto& [tokens, in, out] : shapes) {
    for (DType dtype : {DType::f32, DType::f16, DType::bf16}) {
      Case given(random, tokens, in, out, dtype);
      for (const CpuKernels* set : kernel_sets()) {
        for (int threads : {1, 2}) {
          Workers workers(threads);
          Array y(tokens, out);
          set->linear(given.op(y), workers);
          CHECK(given.close(y));
        }
      }
    }
  }
}

TEST("a row of linear has the same bits alone and beside any others, on any threads") {
  Random random(2);
  constexpr int kTokens = 29;
  for (int in : thorough({64, 1024, 2100, 172})) {
    for (DType dtype : {DType::f32, DType::f16, DType::bf16}) {
      Case given(random, kTokens, in, 75, dtype);
      for (const CpuKernels* set : kernel_sets()) {
        Workers alone(1);
        Array whole(kTokens, 75);
        set->linear(given.op(whole), alone);
        for (int threads : thorough({1, 2, 3})) {
          Workers workers(threads);
          for (int rows : {1, 2, 3, 4, 5, 6, 7, 8, 11, kTokens}) {
            Array y(kTokens, 75);
            for (int first = 0; first < kTokens; first += rows) {
              const int count = std::min(rows, kTokens - first);
              Linear op = given.op(y);
              op.y = op.y.slice(first, count);
              op.x = op.x.slice(first, count);
              op.residual = op.residual.slice(first, count);
              set->linear(op, workers);
            }
            CHECK(same_bits(y.tensor(), whole.tensor()));
          }
        }
      }
    }
  }
}

TEST("linear adds to a residual that is its own output, and leaves out one without data") {
  Random random(3);
  for (int tokens : {1, 9}) {
    Case given(random, tokens, 70, 30, DType::bf16);
    for (const CpuKernels* set : kernel_sets()) {
      Workers workers(2);
      Array apart(tokens, 30), in_place = given.residual, bare(tokens, 30);
      set->linear(given.op(apart), workers);
      Linear op = given.op(in_place);
      op.residual = in_place.tensor();
      set->linear(op, workers);
      CHECK(same_bits(in_place.tensor(), apart.tensor()));
      op = given.op(bare);
      op.residual = {};
      set->linear(op, workers);
      for (size_t i = 0; i < bare.size(); i++) {
        CHECK(std::abs(bare.floats()[i] + given.residual.floats()[i] - apart.floats()[i]) < 1e-5);
      }
    }
  }
}

TEST("linear reads weights at any multiple of their element's size and nothing beyond them") {
  Random random(4);
  for (int tokens : {1, 8}) {
    for (DType dtype : {DType::f32, DType::f16, DType::bf16}) {
      Case given(random, tokens, 45, 11, dtype);
      // The weights again, one element further and with NaN on both sides.
      Array padded(1, 45 * 11 + 2, dtype);
      padded.set(0, NAN);
      padded.set(padded.size() - 1, NAN);
      std::byte* moved = static_cast<std::byte*>(padded.tensor().data) + size_of(dtype);
      std::memcpy(moved, given.weight.tensor().data, given.weight.tensor().bytes());
      for (const CpuKernels* set : kernel_sets()) {
        Workers workers(1);
        Array expected(tokens, 11), y(tokens, 11);
        set->linear(given.op(expected), workers);
        Linear op = given.op(y);
        op.weight.data = moved;
        set->linear(op, workers);
        CHECK(same_bits(y.tensor(), expected.tensor()));
      }
    }
  }
}

TEST("a number that is not one stays in its own row and column of linear") {
  Random random(5);
  for (int tokens : {2, 12}) {
    Case given(random, tokens, 50, 20, DType::f32);
    given.x.set(50 + 49, INFINITY);  // row 1
    given.weight.set(50 * 19 + 3, NAN);
    for (const CpuKernels* set : kernel_sets()) {
      Workers workers(1);
      Array y(tokens, 20);
      set->linear(given.op(y), workers);
      for (size_t i = 0; i < y.size(); i++) {
        CHECK(std::isfinite(y.floats()[i]) == (i / 20 != 1 && i % 20 != 19));
      }
    }
  }
}

}  // namespace minicpm::test
