#include "kernels/ternary.h"

#include "kernels/cpu/repack.h"
#include "test/kernels/packed_arrays.h"
#include "test/kernels/test.h"

namespace minicpm::test {

namespace {

/// bf16 numbers -s, 0 and s, with an s for every `group` columns of a row.
std::vector<uint16_t> ternary_numbers(int64_t rows, int64_t columns, int64_t group,
                                      Random& random) {
  std::vector<uint16_t> numbers;
  for (int64_t i = 0; i < rows * columns; i++) {
    static_assert(sizeof(float) == 4);
    const auto scale =
        static_cast<uint16_t>(0x3c00 + (i / columns * 37 + i % columns / group) % 90);
    const int q = random.below(3) - 1;
    numbers.push_back(q == 0 ? random.below(2) * 0x8000 : q < 0 ? scale | 0x8000 : scale);
  }
  return numbers;
}

bool packs(Tensor y, Tensor x) {
  std::atomic<bool> exact = true;
  const PackTernary op{y, x, &exact};
  op.check();
  reference::pack_ternary(op);
  return exact;
}

}  // namespace

TEST("ternary weights are packed as they are, the bytes that rounding gives, on any threads") {
  Random random(1);
  for (const auto& [rows, columns] : {std::pair{1, 32}, {16, 256}, {37, 576}}) {
    for (int group : {32, 64, 128}) {
      std::vector<uint16_t> numbers = ternary_numbers(rows, columns, group, random);
      const Tensor x{numbers.data(), DType::bf16, rows, columns};
      PackedArray packed(DType::w2, group, rows, columns), rounded(DType::w2, group, rows, columns);
      CHECK(packs(packed.tensor(), x));
      for (int row = 0; row < rows; row++) {
        for (int column = 0; column < columns; column++) {
          const uint16_t number = numbers[static_cast<size_t>(row * columns + column)];
          CHECK(packed.row(row).weight(column) == bf16_to_f32(number));
        }
      }
      reference::pack({rounded.tensor(), x});
      CHECK(same_bits(packed.tensor(), rounded.tensor()));
      for (int threads : {1, 3}) {
        Workers workers(threads);
        PackedArray again(DType::w2, group, rows, columns);
        std::atomic<bool> exact = true;
        pack_ternary({again.tensor(), x, &exact}, workers);
        CHECK(exact && same_bits(again.tensor(), packed.tensor()));
      }
    }
  }
}

TEST("f16 and f32 numbers may be ternary too") {
  for (DType dtype : {DType::f16, DType::f32}) {
    uint16_t halves[32] = {0x3555, 0xb555, 0, 0x8000};
    float floats[32] = {0.75f, -0.75f};
    void* data = dtype == DType::f16 ? static_cast<void*>(halves) : floats;
    PackedArray packed(DType::w2, 32, 1, 32);
    CHECK(packs(packed.tensor(), {data, dtype, 1, 32}));
    CHECK(packed.row(0).weight(1) == (dtype == DType::f16 ? f16_to_f32(0xb555) : -0.75f));
  }
}

TEST("one number that differs by its last bit, is none, or is too large for f16 is noticed") {
  Random random(2);
  const std::vector<uint16_t> numbers = ternary_numbers(20, 96, 32, random);
  const auto with = [&](uint16_t number) {
    std::vector<uint16_t> changed = numbers;
    changed[19 * 96 + 40] = number;
    changed[19 * 96 + 41] = 0x3c00 + (19 * 37 + 1) % 90;
    PackedArray packed(DType::w2, 32, 20, 96);
    return packs(packed.tensor(), {changed.data(), DType::bf16, 20, 96});
  };
  CHECK(with(0) && with(0x8000) && with(numbers[19 * 96 + 40]));
  CHECK(!with(0x3c01 + (19 * 37 + 1) % 90));
  for (uint16_t number : {0x7fc0, 0x7f80, 0xff80, 0x4780, 0x0001}) CHECK(!with(number));

  float huge[32] = {65536, -65536}, fine[32] = {1e-9f}, uneven[32] = {1.0001f};
  for (float* x : {huge, fine, uneven}) {
    PackedArray packed(DType::w2, 32, 1, 32);
    CHECK(!packs(packed.tensor(), {x, DType::f32, 1, 32}));
  }
}

TEST("scales of 32 columns are not those of 64") {
  Random random(3);
  std::vector<uint16_t> numbers = ternary_numbers(4, 128, 32, random);
  PackedArray packed(DType::w2, 64, 4, 128);
  CHECK(!packs(packed.tensor(), {numbers.data(), DType::bf16, 4, 128}));
}

}  // namespace minicpm::test
