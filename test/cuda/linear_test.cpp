#include "test/cuda/device.h"

namespace minicpm::test {

namespace {

/// x times the weights on the device, with a residual or without.
void check_linear(Random& random, const Tensor& weight, int rows, bool residual) {
  Array x(rows, weight.columns), rest(rows, weight.rows);
  Array expected(rows, weight.rows), y(rows, weight.rows), alone(1, weight.rows);
  x.fill(random, -1, 1);
  rest.fill(random, -1, 1);
  const Tensor added = residual ? rest.tensor() : Tensor{};
  reference::linear({expected.tensor(), x.tensor(), weight, added, 0.7f});
  ON_DEVICE({
    const DeviceTensor w(weight), in(x.tensor()), out(rest.tensor());
    // The residual may be the same memory as y.
    const Tensor before = residual ? out.tensor() : Tensor{};
    const int64_t last = rows - 1;
    const DeviceTensor one(rest.tensor().slice(last, 1));
    const Tensor before_one = residual ? one.tensor() : Tensor{};
    cuda::linear({one.tensor(), in.tensor().slice(last, 1), w.tensor(), before_one, 0.7f}, nullptr);
    one.read(alone.tensor());
    cuda::linear({out.tensor(), in.tensor(), w.tensor(), before, 0.7f}, nullptr);
    out.read(y.tensor());
    CHECK(worst_error(y.tensor(), expected.tensor(), 1) < 1e-5);
    CHECK(same_bits(y.tensor().slice(last, 1), alone.tensor()));
  });
}

}  // namespace

TEST(
    "on CUDA linear with float weights equals the definition; a row has the same bits in any "
    "company") {
  Random random(1);
  const int shapes[][3] = {{1, 1, 1}, {3, 7, 33}, {9, 5, 264}, {16, 6, 64}, {2, 9, 172}};
  for (DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    for (const auto& [rows, out, in] : shapes) {
      Array weight(out, in, dtype);
      weight.fill(random, -1, 1);
      check_linear(random, weight.tensor(), rows, in % 2 == 0);
    }
  }
}

TEST(
    "on CUDA linear with packed weights equals the definition, for every format and kind of "
    "scales") {
  Random random(2);
  const auto check = [&](DType format, Scales scales, int group) {
    const int columns = has_two_levels(scales) ? 512 : 32 * 13;  // the last group is shorter
    for (const auto& [rows, out] : {std::pair{1, 16}, {3, 21}, {10, 3}}) {
      PackedArray weight(format, group, out, columns, scales);
      check_linear(random, weight.fill(random, 0.01f).tensor(), rows, out == 21);
    }
  };
  for (DType format : kPackedFormats) {
    for (int group : {32, 128}) check(format, Scales::symmetric, group);
  }
  for (const auto& [format, scales, group] : kStoredKinds) check(format, scales, group);
}

TEST("on CUDA linear with int8 activations gives the definition's bits, few rows and many") {
  Random random(3);
  const auto check = [&](const Tensor& weight, int rows, bool residual) {
    Array x(rows, weight.columns), rest(rows, weight.rows), expected(rows, weight.rows),
        y(rows, weight.rows);
    x.fill(random, -1, 1);
    rest.fill(random, -1, 1);
    QuantizedArray rounded(x);
    const Tensor added = residual ? rest.tensor() : Tensor{};
    reference::linear({expected.tensor(), rounded.tensor(), weight, added, 0.7f});
    ON_DEVICE({
      const DeviceTensor w(weight), in(rounded.tensor()), out(rest.tensor());
      const Tensor before = residual ? out.tensor() : Tensor{};
      cuda::linear({out.tensor(), in.tensor(), w.tensor(), before, 0.7f}, nullptr);
      out.read(y.tensor());
      CHECK(same_bits(y.tensor(), expected.tensor()));
    });
  };
  const auto check_all = [&](DType format, Scales scales, int group) {
    const int columns = has_two_levels(scales) ? 512 : 32 * 13;  // no whole stage, group or tile
    for (const auto& [rows, out] : {std::pair{1, 21}, {11, 16}, {17, 7}, {50, 69}}) {
      PackedArray weight(format, group, out, columns, scales);
      check(weight.fill(random, 0.01f).tensor(), rows, out == 69);
    }
  };
  for (DType format : kPackedFormats) check_all(format, Scales::symmetric, 64);
  for (const auto& [format, scales, group] : kStoredKinds) check_all(format, scales, group);
  PackedArray wide(DType::w4, 128, 16, 32 * 70);  // more columns than are multiplied at once
  check(wide.fill(random, 0.01f).tensor(), 2, false);
}

}  // namespace minicpm::test
