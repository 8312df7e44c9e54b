#include "test/kernels/packed_arrays.h"
#include "test/kernels/test.h"

namespace minicpm::test {

namespace {

/// Compares every set with the definition, bit by bit, for x in a8 and in f32.
void expect_definition(Array& x, Tensor weight, std::initializer_list<int> thread_counts = {2}) {
  Random random(9);
  const int64_t tokens = x.tensor().rows;
  QuantizedArray rounded(x);
  Array residual(tokens, weight.rows);
  residual.fill(random, -1, 1);
  for (const Tensor& input : {rounded.tensor(), x.tensor()}) {
    Array expected(tokens, weight.rows);
    reference::linear({expected.tensor(), input, weight, residual.tensor(), 0.3f});
    for (const CpuKernels* set : kernel_sets()) {
      for (int threads : thorough(thread_counts)) {
        Workers workers(threads);
        Array y(tokens, weight.rows);
        set->linear({y.tensor(), input, weight, residual.tensor(), 0.3f}, workers);
        CHECK(same_bits(y.tensor(), expected.tensor()));
      }
    }
  }
}

}  // namespace

TEST("a linear with packed weights is the one worked out by hand") {
  // Weights 2 and -3 times a scale of 0.5, activations 127 and 1 at a scale of 2.
  PackedArray weight(DType::w4, 32, 1, 32);
  weight.set(0, 0, 2);
  weight.set(0, 9, -3);
  weight.set_scale(0, 0, f32_to_f16(0.5f));
  Array x(1, 32), y(1, 1);
  x.floats()[0] = 254;
  x.floats()[9] = 2.2f;  // rounded to 1 * 2
  QuantizedArray rounded(x);
  reference::linear({y.tensor(), rounded.tensor(), weight.tensor(), {}, 1});
  CHECK(y.floats()[0] == (2 * 127 - 3 * 1) * 0.5f * 2);
  reference::linear({y.tensor(), x.tensor(), weight.tensor(), {}, 1});
  CHECK(y.floats()[0] == (2 * 254 - 3 * 2.2f) * 0.5f);
}

TEST("linear with packed weights gives the definition's bits on every set, format and shape") {
  Random random(1);
  const int shapes[][2] = {{1, 32}, {16, 64}, {17, 96}, {75, 576}, {192, 1024}};
  for (const auto& [out, in] : shapes) {
    for (DType format : kPackedFormats) {
      for (int group : thorough({32, 128, 64})) {
        PackedArray weight(format, group, out, in);
        weight.fill(random, 0.02f);
        for (int tokens : {1, 2, 3, 4, 5, 6, 7, 12, 33}) {
          if (tokens > (kSanitized ? 1 : 7) && out > 100) continue;  // the definition is slow
          Array x(tokens, in);
          x.fill(random, -3, 3);
          expect_definition(x, weight.tensor(), {1, 3});
        }
      }
    }
  }
}

TEST(
    "a long prompt's rows times an odd number of tiles, more than are multiplied at once, as "
    "well") {
  Random random(2);
  Array x(151, 352);
  x.fill(random, -3, 3);
  for (DType format : kPackedFormats) {
    PackedArray weight(format, 64, 72, 352);
    weight.fill(random, 0.02f);
    expect_definition(x, weight.tensor(), {3});
  }
}

TEST("w5, w6 and weights with minimums give the definition's bits on every set and shape") {
  Random random(11);
  const int shapes[][2] = {{1, 256}, {17, 512}, {75, 768}, {192, 1024}};
  for (const auto& [out, in] : shapes) {
    for (const auto& [format, scales, group] : kStoredKinds) {
      PackedArray weight(format, group, out, in, scales);
      weight.fill(random, 0.02f);
      for (int tokens : {1, 2, 3, 4, 5, 6, 7, 12, 33}) {
        if (tokens > (kSanitized ? 1 : 7) && out > 70) continue;  // the definition is slow
        Array x(tokens, in);
        x.fill(random, -3, 3);
        expect_definition(x, weight.tensor(), {1, 3});
      }
    }
  }
}

TEST("a linear with steps, zero points or minimums is the one worked out by hand") {
  // Activations 127 at column 0, 2 at column 9 and -3 at column 20, all at a scale of 2.
  Array x(1, 256), y(1, 1);
  x.floats()[0] = 254;
  x.floats()[9] = 4;
  x.floats()[20] = -6;
  QuantizedArray rounded(x);
  const auto expect = [&](PackedArray& weight, float expected) {
    for (const Tensor& input : {rounded.tensor(), x.tensor()}) {
      reference::linear({y.tensor(), input, weight.tensor(), {}, 1});
      CHECK(y.floats()[0] == expected);
    }
  };
  for (const auto& [format, scales, group] : kStoredKinds) {
    PackedArray weight(format, group, 1, 256, scales);
    weight.set_scale(0, 0, f32_to_f16(0.5f));
    weight.set(0, 0, 3);
    weight.set(0, 9, format == DType::w4 ? 15 : scales == Scales::symmetric ? -16 : 31);
    weight.set(0, 20, 2);
    if (scales == Scales::symmetric) {
      expect(weight, 0.5f * (3 * 254 - 16 * 4 - 2 * 6));
    } else if (scales == Scales::two_level) {
      weight.set_step(0, 0, -7), weight.set_step(0, 1, 100);
      expect(weight, 0.5f * (-7 * (3 * 254 + 31 * 4) - 100 * 2 * 6));
    } else {
      const bool levels = scales == Scales::two_level_minimum;
      if (scales == Scales::zero_point) weight.set_step(0, 0, 9);
      if (!levels && scales == Scales::minimum) weight.set_minimum(0, 0, f32_to_f16(4.5f));
      if (levels) weight.set_step(0, 0, 5), weight.set_minimum_step(0, 0, 9);
      if (levels) weight.set_minimum(0, 0, f32_to_f16(0.5f));
      const float u = format == DType::w4 ? 15 : 31;
      expect(weight, (levels ? 2.5f : 0.5f) * (3 * 254 + u * 4 - 2 * 6) - 4.5f * (254 + 4 - 6));
    }
  }
}

TEST("w5 and w6 dot products are exact at the ends of every range") {
  Random random(12);
  for (const auto& [format, scales, group] : kStoredKinds) {
    const int zero = packed_zero(format, scales), high = (1 << packed_bits(format)) - 1 - zero;
    for (const auto& [a, b] : {std::pair{high, high}, {-zero, -zero}, {-zero, high}}) {
      for (const float sign : {1.f, -1.f}) {
        PackedArray weight(format, group, 40, 256, scales);
        weight.fill(random, 1);
        for (int row = 0; row < 40; row++) {
          for (int column = 0; column < 256; column++) {
            weight.set(row, column, column % 2 ? b : a);
          }
          if (scales != Scales::two_level) continue;
          for (int step = 0; step < 16; step++) weight.set_step(row, step, row % 2 ? -128 : 127);
        }
        Array x(7, 256);
        for (size_t i = 0; i < x.size(); i++) x.floats()[i] = sign;
        expect_definition(x, weight.tensor());
      }
    }
  }
}

TEST("packed dot products are exact at the ends of every range") {
  // All weights and activations at their largest: sums that an int16 lane could not hold, and
  // pairs that would saturate.
  for (DType format : kPackedFormats) {
    const int high = format == DType::w8 ? 127 : format == DType::w4 ? 7 : 1;
    const int low = format == DType::w4 ? -8 : -high;
    for (const auto& [a, b] : {std::pair{high, high}, {low, low}, {low, high}, {high, low}}) {
      for (const float sign : {1.f, -1.f}) {
        PackedArray weight(format, 128, 40, 256);
        for (int row = 0; row < 40; row++) {
          for (int column = 0; column < 256; column++) {
            weight.set(row, column, column % 2 ? b : a);
          }
          for (int group : {0, 1}) weight.set_scale(row, group, 0x3c00);
        }
        Array x(7, 256);
        for (size_t i = 0; i < x.size(); i++) x.floats()[i] = sign;
        expect_definition(x, weight.tensor());
      }
    }
  }
}

TEST(
    "outliers, denormal scales, zeros and numbers that are none go through as the definition "
    "says") {
  Random random(4);
  for (DType format : kPackedFormats) {
    PackedArray weight(format, 32, 50, 320);
    weight.fill(random, 0.05f);
    for (int row = 0; row < 50; row += 3) weight.set_scale(row, 1, 1);       // 2^-24
    for (int row = 0; row < 50; row += 4) weight.set_scale(row, 2, 0x8003);  // negative, too
    for (int row = 0; row < 50; row += 5) weight.set_scale(row, 3, 0x7bff);  // 65504
    for (int tokens : {1, 4, 9}) {
      Array x(tokens, 320);
      x.fill(random, -1, 1);
      x.set(5, 1e20f);  // one huge outlier
      for (int i = 64; i < 96; i++) x.set(static_cast<size_t>(i), 0);
      for (int i = 96; i < 128; i++) x.set(static_cast<size_t>(i), 1e-29f * random.between(-1, 1));
      for (int i = 128; i < 160; i++) x.set(static_cast<size_t>(i), 0.75f);  // all equal
      expect_definition(x, weight.tensor());
    }
  }
}

TEST("an infinite activation makes its own row of a packed linear not a number, no other") {
  Random random(5);
  PackedArray weight(DType::w4, 128, 20, 256);
  weight.fill(random, 0.05f);
  Array x(8, 256);
  x.fill(random, -1, 1);
  x.set(3 * 256 + 17, INFINITY);
  QuantizedArray rounded(x);
  for (const CpuKernels* set : kernel_sets()) {
    for (const Tensor& input : {rounded.tensor(), x.tensor()}) {
      Workers workers(1);
      Array y(8, 20);
      set->linear({y.tensor(), input, weight.tensor(), {}, 1}, workers);
      for (size_t i = 0; i < y.size(); i++) CHECK(std::isfinite(y.floats()[i]) == (i / 20 != 3));
    }
  }
}

TEST("linears of one x have the bits of each alone, on any threads") {
  Random random(6);
  for (int tokens : {1, 6, 20}) {
    Array x(tokens, 576);
    x.fill(random, -2, 2);
    QuantizedArray rounded(x);
    PackedArray q(DType::w4, 128, 200, 576), k(DType::w8, 64, 33, 576), v(DType::w2, 32, 16, 576);
    q.fill(random, 0.02f), k.fill(random, 0.001f), v.fill(random, 0.1f);
    for (const Tensor& input : {rounded.tensor(), x.tensor()}) {
      Array expected[] = {{tokens, 200}, {tokens, 33}, {tokens, 16}};
      reference::linear({expected[0].tensor(), input, q.tensor(), {}, 1});
      reference::linear({expected[1].tensor(), input, k.tensor(), {}, 2});
      reference::linear({expected[2].tensor(), input, v.tensor(), {}, 1});
      for (const CpuKernels* set : kernel_sets()) {
        for (int threads : {1, 2, 5}) {
          Workers workers(threads);
          Array y[] = {{tokens, 200}, {tokens, 33}, {tokens, 16}};
          set->linears({{{y[0].tensor(), input, q.tensor(), {}, 1},
                         {y[1].tensor(), input, k.tensor(), {}, 2},
                         {y[2].tensor(), input, v.tensor(), {}, 1}},
                        3},
                       workers);
          for (int i = 0; i < 3; i++) CHECK(same_bits(y[i].tensor(), expected[i].tensor()));
        }
      }
    }
  }
}

TEST("with f32 activations a packed linear is close to one with the weights widened") {
  Random random(7);
  for (DType format : kPackedFormats) {
    PackedArray weight(format, 128, 30, 1024);
    weight.fill(random, 0.01f);
    Array widened(30, 1024), x(3, 1024), expected(3, 30), y(3, 30);
    for (int row = 0; row < 30; row++) {
      for (int column = 0; column < 1024; column++) {
        widened.floats()[row * 1024 + column] = weight.row(row).weight(column);
      }
    }
    x.fill(random, -1, 1);
    reference::linear({expected.tensor(), x.tensor(), widened.tensor(), {}, 1});
    reference::linear({y.tensor(), x.tensor(), weight.tensor(), {}, 1});
    CHECK(worst_error(y.tensor(), expected.tensor(), 0.1) < 1e-4);
  }
}

TEST("float weights refuse rounded activations, and linears refuse another x") {
  Array weight(16, 64), x(2, 64), other(2, 64), y(2, 16);
  QuantizedArray rounded(2, 64);
  CHECK_THROWS(ErrorCode::kShape,
               (Linear{y.tensor(), rounded.tensor(), weight.tensor(), {}, 1}.check(), 0));
  const Linear first{y.tensor(), x.tensor(), weight.tensor(), {}, 1};
  const Linear second{y.tensor(), other.tensor(), weight.tensor(), {}, 1};
  Linears{{first, first}, 2}.check();
  CHECK_THROWS(ErrorCode::kShape, (Linears{{first, second}, 2}.check(), 0));
}

}  // namespace minicpm::test
