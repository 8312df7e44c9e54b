// Ops that take rows as they come: embed, rms_norm, rope, silu_mul, quantize_rows, reorder,
// log_prob.
#include <algorithm>
#include <numeric>
#include <random>

#include "test/cuda/device.h"

namespace minicpm::test {

TEST("on CUDA embed gives the definition's bits, from every kind of table") {
  Random random(1);
  const auto check = [&](const Tensor& table) {
    Array tokens(1, 5, DType::i32), expected(5, table.columns), y(5, table.columns);
    tokens.fill_ints(random, static_cast<int>(table.rows));
    reference::embed({expected.tensor(), tokens.tensor(), table, 12});
    ON_DEVICE({
      const DeviceTensor given(table), ids(tokens.tensor()), out(y.tensor());
      cuda::embed({out.tensor(), ids.tensor(), given.tensor(), 12}, nullptr);
      out.read(y.tensor());
      CHECK(same_bits(y.tensor(), expected.tensor()));
    });
  };
  for (DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    for (int hidden : {1, 129}) check(Array(20, hidden, dtype).fill(random, -2, 2).tensor());
  }
  for (const auto& [format, scales, group] : kStoredKinds) {
    PackedArray table(format, group, 20, 256, scales);
    check(table.fill(random, 0.01f).tensor());
  }
  for (DType format : kPackedFormats) {
    PackedArray table(format, 64, 20, 160);
    check(table.fill(random, 0.01f).tensor());
  }
}

TEST("on CUDA rms_norm equals the definition, in place, with zeros and huge numbers") {
  Random random(2);
  for (int hidden : {1, 33, 576, 1000}) {
    Array x(3, hidden), weight(1, hidden), expected(3, hidden), y(3, hidden);
    x.fill(random, -3, 3);
    weight.fill(random, 0.5f, 2);
    for (int i = 0; i < hidden; i++) {
      x.set(static_cast<size_t>(hidden + i), 0);
      x.set(static_cast<size_t>(2 * hidden + i), i % 2 ? 1e17f : -1e17f);
    }
    reference::rms_norm({expected.tensor(), x.tensor(), weight.tensor(), 1e-5f});
    ON_DEVICE({
      const DeviceTensor in(x.tensor()), scales(weight.tensor());
      cuda::rms_norm({in.tensor(), in.tensor(), scales.tensor(), 1e-5f}, nullptr);
      in.read(y.tensor());
      CHECK(worst_error(y.tensor(), expected.tensor(), 1e-3) < 1e-6);
    });
  }
}

TEST("on CUDA rope equals the definition") {
  Random random(3);
  const int shapes[][2] = {{2, 1}, {24, 3}, {64, 5}, {128, 2}};
  for (const auto& [head_dim, heads] : shapes) {
    Array x(3, heads * head_dim), cosines(3, head_dim / 2), sines(3, head_dim / 2);
    x.fill(random, -4, 4), cosines.fill(random, -1.2f, 1.2f), sines.fill(random, -1.2f, 1.2f);
    Array expected = x, y = x;
    reference::rope({expected.tensor(), cosines.tensor(), sines.tensor(), head_dim});
    ON_DEVICE({
      const DeviceTensor in(x.tensor()), c(cosines.tensor()), s(sines.tensor());
      cuda::rope({in.tensor(), c.tensor(), s.tensor(), head_dim}, nullptr);
      in.read(y.tensor());
      CHECK(worst_error(y.tensor(), expected.tensor(), 1) < 1e-6);
    });
  }
}

TEST("on CUDA silu_mul equals the definition, in place, from zero to infinity") {
  Random random(4);
  for (int columns : {1, 172, 300}) {
    Array gate(3, columns), up(3, columns), expected(3, columns), y(3, columns);
    gate.fill(random, -20, 20);
    up.fill(random, -2, 2);
    const float special[] = {0.0f, INFINITY, -89.0f};
    for (size_t i = 0; i < 3; i++) gate.set(i, special[i]);
    reference::silu_mul({expected.tensor(), gate.tensor(), up.tensor()});
    ON_DEVICE({
      const DeviceTensor in(gate.tensor()), by(up.tensor());
      cuda::silu_mul({in.tensor(), in.tensor(), by.tensor()}, nullptr);
      in.read(y.tensor());
      CHECK(worst_error(y.tensor(), expected.tensor(), 1e-9) < 1e-6);
    });
  }
}

TEST("on CUDA quantize_rows gives the definition's bytes, also of tiny numbers and of none") {
  Random random(7);
  for (const auto& [rows, columns] : {std::pair{1, 32}, {5, 320}, {8, 288}}) {
    Array x(rows, columns), up(rows, columns);
    x.fill(random, -3, 3), up.fill(random, -1, 1);
    for (size_t i = 0; i < 32; i++) x.set(i, rows == 1 ? 1e-31f : 0);
    if (columns > 32) x.set(40, INFINITY), x.set(70, NAN), x.set(100, 1e30f);
    QuantizedArray expected(x), y(rows, columns);
    ON_DEVICE({
      const DeviceTensor in(x.tensor()), out(y.tensor());
      cuda::quantize_rows({out.tensor(), in.tensor(), {}}, nullptr);
      out.read(y.tensor());
      CHECK(std::memcmp(y.tensor().data, expected.tensor().data, y.tensor().bytes()) == 0);
    });
    // With `up` the numbers are those of silu_mul.
    Array gated(rows, columns);
    QuantizedArray direct(rows, columns);
    ON_DEVICE({
      const DeviceTensor gate(x.tensor()), by(up.tensor()), out(gated.tensor()), fused(y.tensor());
      cuda::silu_mul({out.tensor(), gate.tensor(), by.tensor()}, nullptr);
      cuda::quantize_rows({fused.tensor(), gate.tensor(), by.tensor()}, nullptr);
      fused.read(y.tensor());
      out.read(gated.tensor());
      reference::quantize_rows({direct.tensor(), gated.tensor(), {}});
      CHECK(std::memcmp(y.tensor().data, direct.tensor().data, y.tensor().bytes()) == 0);
    });
  }
}

TEST("on CUDA reorder puts every column where its order says") {
  Random random(5);
  for (int columns : {1, 96, 300}) {
    Array x(3, columns), order(1, columns, DType::i32), expected(3, columns), y(3, columns);
    x.fill(random, -2, 2);
    std::iota(order.ints(), order.ints() + columns, 0);
    std::shuffle(order.ints(), order.ints() + columns, std::mt19937(1));
    reference::reorder({expected.tensor(), x.tensor(), order.tensor()});
    ON_DEVICE({
      const DeviceTensor in(x.tensor()), by(order.tensor()), out(y.tensor());
      cuda::reorder({out.tensor(), in.tensor(), by.tensor()}, nullptr);
      out.read(y.tensor());
      CHECK(same_bits(y.tensor(), expected.tensor()));
    });
  }
}

TEST("on CUDA log_prob equals the definition within 2e-6, with huge logits and ones ruled out") {
  Random random(6);
  for (int vocabulary : {2, 15, 1025}) {
    Array logits(4, vocabulary), targets(1, 4, DType::i32), expected(1, 4), y(1, 4);
    logits.fill(random, -15, 15);
    targets.fill_ints(random, vocabulary);
    for (int i = 0; i < vocabulary; i++) {
      logits.set(static_cast<size_t>(2 * vocabulary + i), i == 1 ? 1e30f : -1e30f);
      logits.set(static_cast<size_t>(3 * vocabulary + i), i == 0 ? 5 : -INFINITY);
    }
    targets.ints()[2] = 1, targets.ints()[3] = 0;
    reference::log_prob({expected.tensor(), logits.tensor(), targets.tensor()});
    ON_DEVICE({
      const DeviceTensor in(logits.tensor()), of(targets.tensor()), out(y.tensor());
      cuda::log_prob({out.tensor(), in.tensor(), of.tensor()}, nullptr);
      out.read(y.tensor());
      CHECK(worst_error(y.tensor(), expected.tensor(), 1) < 2e-6);
      CHECK(y.floats()[2] == 0 && y.floats()[3] == 0);
    });
  }
}

}  // namespace minicpm::test
