#include "kernels/cpu/repack.h"
#include "test/kernels/packed_arrays.h"
#include "test/kernels/quant_blocks_golden.h"
#include "test/kernels/test.h"

namespace minicpm::test {

namespace {

constexpr QuantType kQuantTypes[] = {
    QuantType::q4_0, QuantType::q4_1, QuantType::q5_0, QuantType::q5_1,  QuantType::q8_0,
    QuantType::q4_k, QuantType::q5_k, QuantType::q6_k, QuantType::tq1_0, QuantType::tq2_0};

/// Rows of blocks whose bytes are any, but for halves that are infinite or none.
struct Blocks {
  std::vector<std::byte> bytes;
  std::vector<const std::byte*> rows;

  Blocks(QuantType type, int64_t count, int64_t columns, Random& random)
      : bytes(static_cast<size_t>(count) * quant_row_bytes(type, columns)) {
    // No byte is 0x7c..0x7f or 0xfc..0xff, the upper ones of such halves.
    for (std::byte& byte : bytes) {
      const int value = random.below(256);
      byte = static_cast<std::byte>((value & 0x7c) == 0x7c ? value & 0x8f : value);
    }
    for (int64_t row = 0; row < count; row++) {
      rows.push_back(bytes.data() + static_cast<size_t>(row) * quant_row_bytes(type, columns));
    }
  }
};

PackedArray packed_like(QuantType type, int64_t rows, int64_t columns) {
  const QuantShape shape = shape_of(type);
  return {shape.format, shape.group, rows, columns, shape.scales};
}

}  // namespace

TEST("quant blocks are decoded to the bits that the gguf package gives") {
  for (const QuantBlocksGolden& golden : kQuantBlocksGolden) {
    const auto* bytes = reinterpret_cast<const std::byte*>(golden.bytes.data());
    CHECK(golden.numbers.size() == 256);
    CHECK(golden.bytes.size() == quant_row_bytes(golden.type, 256));
    float numbers[256];
    dequantize(golden.type, bytes, 256, numbers);
    CHECK(std::memcmp(numbers, golden.numbers.data(), sizeof numbers) == 0);
  }
}

TEST("repacked weights have the bits of the decoded blocks, on any threads") {
  Random random(1);
  for (QuantType type : kQuantTypes) {
    for (const auto& [rows, columns] : {std::pair{1, 256}, {16, 512}, {37, 768}}) {
      const Blocks blocks(type, rows, columns, random);
      PackedArray packed = packed_like(type, rows, columns);
      reference::repack({packed.tensor(), type, blocks.rows});
      std::vector<float> numbers(static_cast<size_t>(columns));
      for (int row = 0; row < rows; row++) {
        dequantize(type, blocks.rows[static_cast<size_t>(row)], columns, numbers.data());
        for (int column = 0; column < columns; column++) {
          const float weight = packed.row(row).weight(column);
          CHECK(bits_of(weight) == bits_of(numbers[static_cast<size_t>(column)]));
        }
      }
      for (int threads : {1, 3}) {
        Workers workers(threads);
        PackedArray again = packed_like(type, rows, columns);
        repack({again.tensor(), type, blocks.rows}, workers);
        CHECK(same_bits(again.tensor(), packed.tensor()));
      }
    }
  }
}

TEST("blocks of any bytes are repacked, also with scales that are no numbers") {
  Random random(4);
  for (QuantType type : kQuantTypes) {
    Blocks blocks(type, 33, 256, random);
    for (std::byte& byte : blocks.bytes) byte = static_cast<std::byte>(random.below(256));
    PackedArray packed = packed_like(type, 33, 256);
    reference::repack({packed.tensor(), type, blocks.rows});
    float numbers[256];
    for (int row = 0; row < 33; row++) {
      dequantize(type, blocks.rows[static_cast<size_t>(row)], 256, numbers);
      for (int column = 0; column < 256; column++) {
        const float found = packed.row(row).weight(column), expected = numbers[column];
        CHECK(std::isfinite(expected) ? found == expected : !std::isfinite(found));
      }
    }
  }
}

TEST("rows are repacked from wherever they lie, and those beyond the last are zeros") {
  Random random(2);
  Blocks blocks(QuantType::q4_k, 3, 256, random);
  std::swap(blocks.rows[0], blocks.rows[2]);
  PackedArray packed = packed_like(QuantType::q4_k, 3, 256);
  reference::repack({packed.tensor(), QuantType::q4_k, blocks.rows});
  float numbers[256];
  dequantize(QuantType::q4_k, blocks.bytes.data(), 256, numbers);
  CHECK(packed.row(2).weight(77) == numbers[77] && packed.row(15).weight(77) == 0);
}

TEST("repacking refuses a y of another format, and rows that are not there") {
  Random random(3);
  const Blocks blocks(QuantType::q5_0, 2, 64, random);
  PackedArray right = packed_like(QuantType::q5_0, 2, 64), wrong(DType::w4, 32, 2, 64),
              more = packed_like(QuantType::q5_0, 3, 64);
  Repack{right.tensor(), QuantType::q5_0, blocks.rows}.check();
  for (PackedArray* y : {&wrong, &more}) {
    CHECK_THROWS(ErrorCode::kShape, (Repack{y->tensor(), QuantType::q5_0, blocks.rows}.check(), 0));
  }
}

TEST("packed weights whose scales do not go with their format are refused") {
  PackedArray w6(DType::w6, 16, 16, 256, Scales::two_level);
  expect_packed("test", "weight", w6.tensor());
  Tensor wrong = w6.tensor();
  wrong.group = 32;
  CHECK_THROWS(ErrorCode::kShape, (expect_packed("test", "weight", wrong), 0));
  wrong = w6.tensor();
  wrong.scales = Scales::symmetric;
  CHECK_THROWS(ErrorCode::kShape, (expect_packed("test", "weight", wrong), 0));
  wrong = w6.tensor();
  wrong.columns = 224;
  CHECK_THROWS(ErrorCode::kShape, (expect_packed("test", "weight", wrong), 0));
  wrong = {w6.tensor().data, DType::w8, 16, 128, 32, Scales::minimum};
  CHECK_THROWS(ErrorCode::kShape, (expect_packed("test", "weight", wrong), 0));
}

}  // namespace minicpm::test
