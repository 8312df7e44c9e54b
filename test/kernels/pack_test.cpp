#include "kernels/pack.h"

#include <algorithm>
#include <cmath>

#include "test/kernels/packed_arrays.h"
#include "test/kernels/test.h"

namespace minicpm::test {

TEST("packed bytes lie where the layout says") {
  // One row of w4 in a group of 32: u = q + 8, two steps of 4 columns a line, rows 4 bytes apart.
  Array x(2, 32);
  for (int i = 0; i < 32; i++) x.floats()[32 + i] = static_cast<float>(i % 16 - 8);
  PackedArray packed(DType::w4, 32, x);
  const unsigned char* bytes = packed.bytes().data();
  CHECK(packed.bytes().size() == 64 + 4 * 64);
  CHECK(bytes[2] == 0x00 && bytes[3] == 0x3c);  // row 1: f16 1.0
  CHECK(bytes[64 + 0] == 0x88);                 // row 0: zeros
  CHECK(bytes[64 + 4] == 0x40);                 // row 1, columns 0 and 4: u = 0 and 4
  CHECK(bytes[64 + 7] == 0x73);                 // columns 3 and 7
  CHECK(bytes[2 * 64 + 5] == 0xd9);             // columns 9 and 13
  CHECK(bytes[0] == 0 && bytes[1] == 0 && bytes[4] == 0);
}

TEST("a packed matrix takes the bytes of whole tiles, its last group as short as it is") {
  CHECK(packed_bytes(DType::w4, 16, 1024, 128) == 8 * 32 + 16 * 1024 / 2);
  CHECK(packed_bytes(DType::w8, 17, 1024, 128) == 2 * (8 * 32 + 16 * 1024));
  CHECK(packed_bytes(DType::w2, 73448, 1024, 64) == 4591 * (16 * 32 + 16 * 1024 / 4));
  CHECK(packed_bytes(DType::w4, 16, 576, 128) == 192 + 16 * 576 / 2);  // 5 groups: 160 of 192
}

TEST("packing rounds each weight to the nearest multiple of its group's scale") {
  Random random(1);
  for (DType format : kPackedFormats) {
    for (int group : {32, 64, 128}) {
      Array x(21, 576);
      x.fill(random, -1, 1);
      PackedArray packed(format, group, x);
      for (int row = 0; row < 21; row++) {
        const PackedRow found = packed.row(row);
        for (int column = 0; column < 576; column++) {
          const float weight = x.floats()[row * 576 + column], scale = found.scale(column);
          const float step = 1.005f * std::abs(scale);  // itself rounded to 11 bits
          const float error = std::abs(found.weight(column) - weight);
          const int q = found.q(column);
          const bool last = format == DType::w4 ? q == 7 || q == -8 : format == DType::w2 && q != 0;
          const bool beyond = std::abs(weight) > std::abs(found.weight(column));
          CHECK(error <= step / 2 || (last && beyond));
        }
      }
    }
  }
}

TEST("packing to w4 uses all 16 levels, and finds fewer that fit exactly") {
  Array x(2, 32);
  for (int i = 0; i < 32; i++) {
    x.floats()[i] = static_cast<float>(i % 8);
    x.floats()[32 + i] = static_cast<float>(-(i % 9));
  }
  PackedArray packed(DType::w4, 32, x);
  CHECK(packed.row(0).scale(0) == -1 && packed.row(0).q(7) == -7);
  CHECK(packed.row(1).scale(0) == 1 && packed.row(1).q(8) == -8 && packed.row(1).q(3) == -3);
}

TEST("the scales of w4 have smaller weighted errors than the largest magnitude's, never larger") {
  Random random(4);
  double found = 0, plain = 0;
  for (int group : {32, 64, 128}) {
    Array x(50, 576);
    x.fill(random, -1, 1);
    for (int row = 0; row < 50; row++) {  // shapes of all kinds: cubes have long tails
      for (int column = 0; column < 576; column++) {
        float& weight = x.floats()[row * 576 + column];
        if (row % 3 == 1) weight = weight * weight * weight;
        if (row % 3 == 2) weight *= 1e-4f;
      }
    }
    PackedArray packed(DType::w4, group, x);
    for (int row = 0; row < 50; row++) {
      for (int first = 0; first < 576; first += group) {
        const float* weights = x.floats() + row * 576 + first;
        const int count = std::min(group, 576 - first);
        float largest = 0;
        double its = 0;
        for (int i = 0; i < count; i++) {
          if (std::abs(weights[i]) > std::abs(largest)) largest = weights[i];
          const double error = weights[i] - packed.row(row).weight(first + i);
          its += weights[i] * weights[i] * error * error;
        }
        const float scale = f16_to_f32(f32_to_f16(largest / -8));
        double others = 0;
        for (int i = 0; i < count; i++) {
          const double q = std::clamp(std::nearbyint(weights[i] / scale), -8.f, 7.f);
          const double error = weights[i] - scale * q;
          others += weights[i] * weights[i] * error * error;
        }
        CHECK(its <= 1.000001 * others);
        found += its;
        plain += others;
      }
    }
  }
  CHECK(found < 0.95 * plain);
}

TEST("ternary weights and int8 weights are packed without any error") {
  Random random(2);
  Array ternary(5, 160), bytes(5, 160);
  for (size_t i = 0; i < ternary.size(); i++) {
    ternary.floats()[i] = 0.0234375f * static_cast<float>(random.below(3) - 1);
    bytes.floats()[i] =
        i % 32 == 0 ? 127 * 0.25f : 0.25f * static_cast<float>(random.below(255) - 127);
  }
  PackedArray w2(DType::w2, 32, ternary), w8(DType::w8, 32, bytes);
  for (int row = 0; row < 5; row++) {
    for (int column = 0; column < 160; column++) {
      CHECK(w2.row(row).weight(column) == ternary.floats()[row * 160 + column]);
      CHECK(w8.row(row).weight(column) == bytes.floats()[row * 160 + column]);
    }
  }
}

TEST("groups of zeros, of tiny, of huge and of no numbers are packed as documented") {
  for (DType format : kPackedFormats) {
    Array x(5, 64);
    for (int i = 0; i < 32; i++) {
      x.floats()[64 + i] = 1e-30f;  // the scale is 0 in f16
      x.floats()[128 + i] = 1e30f;  // the scale would be infinite
      x.floats()[192 + i] = i == 5 ? NAN : 1;
      x.floats()[256 + i] = i == 5 ? -INFINITY : 1;
    }
    PackedArray packed(format, 32, x);
    for (int row : {0, 1}) {
      CHECK(packed.row(row).scale(0) == 0 && packed.row(row).q(3) == 0);
    }
    CHECK(std::abs(packed.row(2).scale(0)) == 65504 && packed.row(2).q(0) != 0);
    for (int row : {3, 4}) {
      CHECK(std::isnan(packed.row(row).scale(0)) && packed.row(row).q(0) == 0);
      CHECK(packed.row(row).scale(32) == 0);  // the group beside it
    }
  }
}

TEST(
    "packing gives the same bytes on all sets and threads, and half floats those of their values") {
  Random random(3);
  for (DType format : kPackedFormats) {
    for (DType dtype : {DType::f32, DType::f16, DType::bf16}) {
      Array given(75, 160, dtype), floats(75, 160);
      given.fill(random, -0.1f, 0.1f);
      for (size_t i = 0; i < floats.size(); i++) {
        floats.floats()[i] = reference::element(given.tensor().data, dtype, i);
      }
      PackedArray expected(format, 64, floats);
      for (const CpuKernels* set : kernel_sets()) {
        for (int threads : {1, 2, 3}) {
          Workers workers(threads);
          PackedArray packed(format, 64, 75, 160);
          set->pack({packed.tensor(), given.tensor()}, workers);
          CHECK(same_bits(packed.tensor(), expected.tensor()));
        }
      }
    }
  }
}

TEST("the scales of w4 are found alike on all sets, whatever the numbers of a group") {
  Random random(5);
  for (int group : {32, 64, 128}) {
    Array x(64, 576);
    x.fill(random, -1, 1);
    for (int row = 0; row < 64; row++) {
      for (int column = 0; column < 576; column++) {
        float& weight = x.floats()[row * 576 + column];
        switch (row % 8) {
          case 0:
            weight *= weight * weight;
            break;
          case 1:
            weight = static_cast<float>(static_cast<int>(8 * weight));
            break;
          case 2:
            weight = weight < 0 ? -0.5f : 0.5f;
            break;  // ties for the largest
          case 3:
            weight = column % 40 == 7 ? 3e38f : weight;
            break;
          case 4:
            weight = column % 50 < 34 ? 0 * weight : weight;
            break;
          case 5:
            weight *= 1e-7f;
            break;
          case 6:
            weight = column == 300 ? (row < 32 ? NAN : INFINITY) : weight;
            break;
          default:
            weight = row < 32 ? -weight * 1e-39f : weight;
        }
      }
    }
    PackedArray expected(DType::w4, group, x);
    for (const CpuKernels* set : kernel_sets()) {
      Workers workers(2);
      PackedArray packed(DType::w4, group, 64, 576);
      set->pack({packed.tensor(), x.tensor()}, workers);
      CHECK(same_bits(packed.tensor(), expected.tensor()));
    }
  }
}

TEST("weights that have no whole blocks of columns are not packed") {
  PackedArray packed(DType::w4, 32, 16, 64);
  Array x(16, 64), narrow(16, 48);
  Tensor y = packed.tensor();
  Pack{y, x.tensor()}.check();
  y.columns = 48;
  CHECK_THROWS(ErrorCode::kShape, (Pack{y, narrow.tensor()}.check(), 0));
  y = packed.tensor();
  y.group = 48;
  CHECK_THROWS(ErrorCode::kShape, (Pack{y, x.tensor()}.check(), 0));
  y = packed.tensor();
  y.data = packed.bytes().data() + 16;
  CHECK_THROWS(ErrorCode::kShape, (Pack{y, x.tensor()}.check(), 0));
}

}  // namespace minicpm::test
