#include "kernels/cpu/repack.h"
#include "test/kernels/packed_arrays.h"
#include "test/kernels/test.h"

namespace minicpm::test {

namespace {

constexpr ArrayType kArrayTypes[] = {ArrayType::gptq4, ArrayType::gptq8, ArrayType::awq4,
                                     ArrayType::marlin4};

/// Arrays that own their memory: all zeros until set or filled, none of them aligned.
class OwnedArrays {
 public:
  OwnedArrays(ArrayType type, int64_t rows, int64_t columns, int64_t group) {
    arrays_ = {type, rows, columns, group, nullptr, nullptr, nullptr};
    integers_.resize(1 + arrays_.integer_bytes());
    scales_.resize(1 + arrays_.scale_bytes());
    zeros_.resize(1 + arrays_.zero_bytes());
    arrays_.integers = integers_.data() + 1;
    arrays_.scales = scales_.data() + 1;
    arrays_.zeros = type == ArrayType::marlin4 ? nullptr : zeros_.data() + 1;
  }

  QuantArrays arrays() const { return arrays_; }
  void set_word(int64_t index, uint32_t word) { set(integers_, index, word); }
  void set_zeros(int64_t index, uint32_t word) { set(zeros_, index, word); }
  void set_scale(int64_t index, uint16_t half) { set(scales_, index, half); }

  OwnedArrays& fill(Random& random) {
    for (auto* bytes : {&integers_, &zeros_}) {
      for (std::byte& byte : *bytes) byte = static_cast<std::byte>(random.below(256));
    }
    for (int64_t i = 0; i < arrays_.groups() * arrays_.rows; i++) {
      set_scale(i, f32_to_f16(random.between(-0.1f, 0.1f)));
    }
    return *this;
  }

 private:
  template <typename T>
  static void set(std::vector<std::byte>& bytes, int64_t index, T value) {
    std::memcpy(bytes.data() + 1 + static_cast<size_t>(index) * sizeof value, &value, sizeof value);
  }

  QuantArrays arrays_;
  std::vector<std::byte> integers_, scales_, zeros_;
};

PackedArray packed_like(const QuantArrays& x, int64_t rows, int group, bool symmetric = false) {
  return {array_bits(x.type) == 8 ? DType::w8 : DType::w4, group, rows, x.columns,
          symmetric || !x.zeros ? Scales::symmetric : Scales::zero_point};
}

}  // namespace

TEST("words of GPTQ and AWQ hold the numbers that their formats say") {
  OwnedArrays gptq(ArrayType::gptq4, 16, 32, 32), eight(ArrayType::gptq8, 16, 32, 32),
      awq(ArrayType::awq4, 16, 32, 32);
  gptq.set_word(16 + 3, 0x76543210);  // columns 8 to 15 of row 3
  eight.set_word(16 + 3, 0x43210fee);
  awq.set_word(5 * 2 + 1, 0x75316420);  // rows 8 to 15 of column 5
  for (int i = 0; i < 8; i++) {
    CHECK(gptq.arrays().integer(3, 8 + i) == i);
    CHECK(awq.arrays().integer(8 + i, 5) == i);
  }
  CHECK(eight.arrays().integer(3, 4) == 0xee && eight.arrays().integer(3, 7) == 0x43);

  gptq.set_zeros(1, 0xf6543210);  // rows 8 to 15
  awq.set_zeros(1, 0x75316420);
  eight.set_zeros(2, 0xff000000);  // row 11
  QuantArrays less = gptq.arrays(), eight_less = eight.arrays();
  less.added_to_zeros = eight_less.added_to_zeros = 1;
  for (int i = 0; i < 7; i++) {
    CHECK(gptq.arrays().zero(8 + i, 0) == i && awq.arrays().zero(8 + i, 0) == i);
    CHECK(less.zero(8 + i, 0) == i + 1);
  }
  CHECK(gptq.arrays().zero(15, 0) == 15 && less.zero(15, 0) == 0);
  CHECK(eight.arrays().zero(11, 0) == 255 && eight_less.zero(11, 0) == 0);
  less.zeros = eight_less.zeros = nullptr;
  CHECK(less.zero(9, 0) == 8 && eight_less.zero(9, 0) == 128);
}

TEST("a weight is its integer less the zero point, times the scale of its group") {
  OwnedArrays gptq(ArrayType::gptq4, 16, 80, 32);
  gptq.set_word(9 * 16 + 2, 0x00d00000);  // column 77 of row 2
  gptq.set_zeros(2 * 2, 0x00000900);      // group 2
  gptq.set_scale(2 * 16 + 2, 0x3800);     // 0.5
  CHECK(gptq.arrays().groups() == 3 && gptq.arrays().weight(2, 77) == (13 - 9) * 0.5f);
}

TEST("a scale of bf16 counts as the same number in f16") {
  OwnedArrays owned(ArrayType::gptq4, 16, 32, 32);
  owned.set_scale(3, 0x3dcc);  // 0.099609375
  owned.set_scale(4, 0x3000);  // 2^-31, which f16 rounds to 0
  QuantArrays arrays = owned.arrays();
  arrays.bf16_scales = true;
  CHECK(f16_to_f32(arrays.scale(3, 0).bits) == 0.099609375f);
  CHECK(f16_to_f32(arrays.scale(4, 0).bits) == 0);
}

TEST("tiles of Marlin hold rows and columns where CPM.cu's converter puts them") {
  // The tables of the layout, word by word: two tiles of 64 rows side by side, two below.
  constexpr int kColumn[] = {0, 8, 0, 8, 1, 9, 1, 9}, kRow[] = {0, 0, 8, 8, 0, 0, 8, 8};
  for (int tile : {0, 1, 3}) {
    for (int word = 0; word < 128; word++) {
      const int lane = word / 4, column = 2 * (lane % 4), row = 16 * (word % 4) + lane / 4;
      for (int i = 0; i < 8; i++) {
        OwnedArrays marlin(ArrayType::marlin4, 128, 32, 32);
        marlin.set_word(tile * 128 + word, 0xau << 4 * i);
        const QuantArrays x = marlin.arrays();
        CHECK(x.integer(tile % 2 * 64 + row + kRow[i], tile / 2 * 16 + column + kColumn[i]) == 10);
      }
    }
  }
}

TEST("scales of Marlin are in runs of 64 rows, or of 32 where there is one group") {
  OwnedArrays two(ArrayType::marlin4, 128, 64, 32), one(ArrayType::marlin4, 128, 64, 64);
  constexpr int kOffsets[] = {0, 1, 8, 9, 16, 17, 24, 25};
  for (int i = 0; i < 8; i++) {
    for (int j = 0; j < 8; j++) {
      two.set_scale(128 + 64 + 8 * i + j, static_cast<uint16_t>(1000 + i + 8 * j));
      if (i < 4) one.set_scale(96 + 8 * i + j, static_cast<uint16_t>(1000 + 2 * i + kOffsets[j]));
    }
  }
  for (int row = 0; row < 64; row++) CHECK(two.arrays().scale(64 + row, 1).bits == 1000 + row);
  for (int row = 0; row < 32; row++) CHECK(one.arrays().scale(96 + row, 0).bits == 1000 + row);
}

TEST("repacked arrays have the bits of the weights that they mean, on any threads") {
  Random random(1);
  for (ArrayType type : kArrayTypes) {
    const bool marlin = type == ArrayType::marlin4;
    for (const auto& [rows, columns] : {std::pair{marlin ? 64 : 40, 64}, {128, 192}}) {
      for (const auto& [group, packed_group] :
           {std::pair{32, 32}, {64, 64}, {128, 128}, {columns, 128}, {96, 32}}) {
        if (marlin && group > columns) continue;
        OwnedArrays owned(type, rows, columns, group);
        QuantArrays x = owned.fill(random).arrays();
        x.added_to_zeros = group == 64;
        PackedArray packed = packed_like(x, rows, packed_group);
        const RepackArrays op{packed.tensor(), x};
        op.check();
        reference::repack_arrays(op);
        for (int row = 0; row < rows; row++) {
          for (int column = 0; column < columns; column++) {
            CHECK(packed.row(row).weight(column) == x.weight(row, column));
          }
        }
        if (rows < 48) CHECK(packed.row(47).weight(5) == 0);
        for (int threads : {1, 3}) {
          Workers workers(threads);
          PackedArray again = packed_like(x, rows, packed_group);
          repack_arrays({again.tensor(), x}, workers);
          CHECK(same_bits(again.tensor(), packed.tensor()));
        }
      }
    }
  }
}

TEST("columns of GPTQ in another order are those of the arrays, one by one") {
  Random random(3);
  for (ArrayType type : {ArrayType::gptq4, ArrayType::gptq8}) {
    OwnedArrays owned(type, 40, 96, 32);
    QuantArrays x = owned.fill(random).arrays();
    const QuantArrays plain = x;
    std::vector<int32_t> order(96);
    for (size_t i = 0; i < order.size(); i++) order[i] = static_cast<int32_t>(i * 35 % 96);
    x.order = order.data();
    PackedArray packed = packed_like(x, 40, 32);
    reference::repack_arrays({packed.tensor(), x});
    for (int row = 0; row < 40; row++) {
      for (int column = 0; column < 96; column++) {
        const int stored = order[static_cast<size_t>(column)];
        CHECK(x.integer(row, column) == plain.integer(row, stored));
        CHECK(packed.row(row).weight(column) == x.weight(row, column));
      }
    }
  }
}

TEST("columns are put in an order, on any threads") {
  Random random(4);
  Array x(3, 20), y(3, 20);
  x.fill(random, -1, 1);
  int32_t order[20];
  for (int i = 0; i < 20; i++) order[i] = i * 7 % 20;
  const ReorderColumns op{y.tensor(), x.tensor(), {order, DType::i32, 1, 20}};
  op.check();
  reference::reorder(op);
  for (size_t i = 0; i < 60; i++) {
    CHECK(y.floats()[i] == x.floats()[i / 20 * 20 + static_cast<size_t>(order[i % 20])]);
  }
  for (int threads : {1, 3}) {
    Workers workers(threads);
    Array again(3, 20);
    reorder({again.tensor(), x.tensor(), op.order}, workers);
    CHECK(same_bits(again.tensor(), y.tensor()));
  }
  CHECK_THROWS(ErrorCode::kShape, (ReorderColumns{x.tensor(), x.tensor(), op.order}.check(), 0));
}

TEST("any bytes are repacked, whatever their scales are") {
  Random random(5);
  for (ArrayType type : kArrayTypes) {
    std::vector<std::byte> bytes(64 * 64 + 2 * 64 * 2 + 2 * 64);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.below(256));
    const std::byte* data = bytes.data();
    const QuantArrays x{type, 64, 64, 32, data, data + 64 * 64, data + 64 * 64 + 2 * 64 * 2};
    PackedArray packed = packed_like(x, 64, 32);
    reference::repack_arrays({packed.tensor(), x});
    for (int row = 0; row < 64; row++) {
      for (int column = 0; column < 64; column++) {
        const float expected = x.weight(row, column), found = packed.row(row).weight(column);
        CHECK(std::isfinite(expected) ? found == expected : !std::isfinite(found));
      }
    }
  }
}

TEST("some rows of arrays are repacked alone, and without zero points they are symmetric") {
  Random random(2);
  for (ArrayType type : kArrayTypes) {
    OwnedArrays owned(type, 128, 64, 32);
    QuantArrays x = owned.fill(random).arrays();
    x.zeros = nullptr;
    PackedArray packed = packed_like(x, 40, 32);
    reference::repack_arrays({packed.tensor(), x, 48});
    for (int row = 0; row < 40; row++) {
      for (int column = 0; column < 64; column++) {
        CHECK(packed.row(row).weight(column) == x.weight(48 + row, column));
      }
    }
  }
}

TEST("repacking arrays refuses a y of another format or size, and groups that do not fit") {
  OwnedArrays owned(ArrayType::gptq4, 48, 64, 32);
  const QuantArrays x = owned.arrays();
  PackedArray right = packed_like(x, 48, 32), wide = packed_like(x, 48, 64),
              eight(DType::w8, 32, 48, 64), more = packed_like(x, 64, 32);
  RepackArrays{right.tensor(), x}.check();
  for (PackedArray* y : {&wide, &eight, &more}) {
    CHECK_THROWS(ErrorCode::kShape, (RepackArrays{y->tensor(), x}.check(), 0));
  }
  CHECK_THROWS(ErrorCode::kShape, (RepackArrays{right.tensor(), x, 16}.check(), 0));
  PackedArray some = packed_like(x, 16, 32);
  CHECK_THROWS(ErrorCode::kShape, (RepackArrays{some.tensor(), x, 8}.check(), 0));
}

}  // namespace minicpm::test
