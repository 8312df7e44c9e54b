#include "test/kernels/packed_arrays.h"
#include "test/kernels/test.h"

namespace minicpm::test {

namespace {

/// The integer of a row and column.
int integer(Tensor y, int64_t row, int64_t column) {
  const QuantizedBlock block = quantized_block(y, row / 6);
  return block.integers[(column / 4 * block.rows + row % 6) * 4 + column % 4];
}

float scale(Tensor y, int64_t row, int64_t group) {
  const QuantizedBlock block = quantized_block(y, row / 6);
  return block.scales[group * block.rows + row % 6];
}

int sum(Tensor y, int64_t row, int64_t group) {
  const QuantizedBlock block = quantized_block(y, row / 6);
  return block.sums[group * block.rows + row % 6];
}

}  // namespace

TEST("quantize_rows rounds to nearest, ties to even, at the scale of the largest of 32") {
  Array x(1, 64);
  const float numbers[] = {127, -127, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 63.4f};
  const int expected[] = {127, -127, 0, 2, 2, 0, -2, 63};
  std::memcpy(x.floats(), numbers, sizeof numbers);
  x.floats()[32] = -254;
  x.floats()[33] = 3;
  QuantizedArray y(x);
  for (int i = 0; i < 8; i++) CHECK(integer(y.tensor(), 0, i) == expected[i]);
  CHECK(scale(y.tensor(), 0, 0) == 1 && scale(y.tensor(), 0, 1) == 2);
  CHECK(integer(y.tensor(), 0, 32) == -127 && integer(y.tensor(), 0, 33) == 2);
  CHECK(sum(y.tensor(), 0, 0) == 65 && sum(y.tensor(), 0, 1) == -125);
}

TEST("rows lie in blocks of six, and a number has its place whatever the rows beside it") {
  Random random(1);
  Array x(8, 96);
  x.fill(random, -3, 3);
  QuantizedArray all(x);
  for (int row = 0; row < 8; row++) {
    Array one(1, 96);
    std::memcpy(one.floats(), x.floats() + row * 96, 96 * 4);
    QuantizedArray alone(one);
    for (int column = 0; column < 96; column++) {
      CHECK(integer(all.tensor(), row, column) == integer(alone.tensor(), 0, column));
      CHECK(scale(all.tensor(), row, column / 32) == scale(alone.tensor(), 0, column / 32));
      const float error = std::abs(static_cast<float>(integer(all.tensor(), row, column)) *
                                       scale(all.tensor(), row, column / 32) -
                                   x.floats()[row * 96 + column]);
      CHECK(error <= 0.5001f * scale(all.tensor(), row, column / 32));
    }
  }
}

TEST("quantize_rows makes nothing of tiny groups and a scale that is no number of endless ones") {
  Array x(1, 6 * 32);
  x.floats()[32] = 1e-31f;     // below 2^-100
  x.floats()[64] = 0x1p-100f;  // at it
  x.floats()[96 + 7] = -INFINITY;
  x.floats()[128 + 31] = -NAN;
  x.floats()[160] = 3e38f;
  QuantizedArray y(x);
  for (int group : {0, 1}) CHECK(scale(y.tensor(), 0, group) == 0);
  CHECK(scale(y.tensor(), 0, 2) == 0x1p-100f / 127 && integer(y.tensor(), 0, 64) == 127);
  for (int group : {3, 4}) {
    CHECK(std::isnan(scale(y.tensor(), 0, group)) && sum(y.tensor(), 0, group) == 0);
  }
  CHECK(std::isfinite(scale(y.tensor(), 0, 5)) && integer(y.tensor(), 0, 160) == 127);
}

TEST("quantize_rows gives the definition's bytes on every set, whatever the numbers") {
  Random random(2);
  for (int rows : {1, 2, 5, 6, 7, 13, 64}) {
    for (int columns : {32, 576, 1024}) {
      Array x(rows, columns);
      for (size_t i = 0; i < x.size(); i++) {
        switch (random.below(8)) {
          case 0:
            x.floats()[i] = float_of(static_cast<uint32_t>(random.next()));  // any bits at all
            break;
          case 1:
            x.floats()[i] = random.between(-1e-38f, 1e-38f);
            break;
          default:
            x.floats()[i] = random.between(-4, 4);
        }
        if (random.below(64) == 0) x.floats()[i] *= 1000;
        // Endless numbers in a few rows only, else no group would be left without.
        if (i / static_cast<size_t>(columns) % 4 != 0 && !(std::abs(x.floats()[i]) < 1e30f)) {
          x.floats()[i] = 1;
        }
      }
      QuantizedArray expected(x);
      for (const CpuKernels* set : kernel_sets()) {
        for (int threads : {1, 3}) {
          Workers workers(threads);
          QuantizedArray y(rows, columns);
          set->quantize_rows({y.tensor(), x.tensor(), {}}, workers);
          CHECK(same_bits(y.tensor(), expected.tensor()));
        }
      }
    }
  }
}

TEST("quantize_rows of a gate has the bytes of silu_mul and then quantize_rows, on every set") {
  Random random(3);
  for (int rows : {1, 8}) {
    Array gate(rows, 4096), up(rows, 4096);
    gate.fill(random, -9, 9);
    up.fill(random, -2, 2);
    for (const CpuKernels* set : kernel_sets()) {
      Workers workers(2);
      Array gated(rows, 4096);
      set->silu_mul({gated.tensor(), gate.tensor(), up.tensor()}, workers);
      QuantizedArray expected(gated), y(rows, 4096);
      set->quantize_rows({y.tensor(), gate.tensor(), up.tensor()}, workers);
      CHECK(same_bits(y.tensor(), expected.tensor()));
    }
  }
}

}  // namespace minicpm::test
