#include "kernels/quant_arrays.h"

#include <cstring>

#include "kernels/packed.h"

namespace minicpm {

namespace {

template <typename T>
T at(const std::byte* array, int64_t index) {
  T value;
  std::memcpy(&value, array + static_cast<size_t>(index) * sizeof value, sizeof value);
  return value;
}

/// Where a number's bits are in an array of words.
struct WordPlace {
  int64_t word;
  int shift;
};

WordPlace gptq_place(int bits, int64_t rows, int64_t row, int64_t column) {
  const int64_t in_word = 32 / bits;
  return {column / in_word * rows + row, static_cast<int>(column % in_word) * bits};
}

WordPlace awq_place(int64_t rows, int64_t row, int64_t column) {
  const int64_t in_word = row % 8;
  return {(column * rows + row) / 8, static_cast<int>(in_word / 2 + in_word % 2 * 4) * 4};
}

/// Lane 0 to 31 of a tile has 4 words, one for every 16 rows.
WordPlace marlin_place(int64_t rows, int64_t row, int64_t column) {
  const int64_t tile = column / 16 * (rows / 64) + row / 64;
  const int64_t k = column % 16, n = row % 64;
  const int64_t lane = n % 8 * 4 + k % 8 / 2;
  const int64_t number = k % 2 * 4 + n / 8 % 2 * 2 + k / 8;
  return {tile * 128 + lane * 4 + n / 16, static_cast<int>(number) * 4};
}

/// Where the scale of a row lies in its run.
int64_t marlin_scale(int64_t row, bool one_group) {
  if (!one_group) return row - row % 64 + row % 8 * 8 + row % 64 / 8;
  const int64_t in_run = row % 32;
  return row - in_run + in_run % 8 / 2 * 8 + in_run / 8 * 2 + in_run % 2;
}

/// 8 nibbles so that bytes hold numbers 0 4, 1 5, 2 6, 3 7: a line's bytes of one row.
uint32_t as_steps(uint32_t word) {
  const auto spread = [](uint32_t half) {
    half = (half | half << 8) & 0x00ff00ff;
    return (half | half << 4) & 0x0f0f0f0f;
  };
  return spread(word & 0xffff) | spread(word >> 16) << 4;
}

}  // namespace

size_t QuantArrays::integer_bytes() const {
  return static_cast<size_t>(rows) * static_cast<size_t>(columns * array_bits(type) / 8);
}

size_t QuantArrays::scale_bytes() const {
  return static_cast<size_t>(groups() * rows) * sizeof(F16);
}

size_t QuantArrays::zero_bytes() const {
  return static_cast<size_t>(groups()) * static_cast<size_t>(rows * array_bits(type) / 8);
}

int QuantArrays::integer(int64_t row, int64_t column) const {
  const int bits = array_bits(type);
  if (order) column = order[column];
  const WordPlace place = type == ArrayType::marlin4 ? marlin_place(rows, row, column)
                          : type == ArrayType::awq4  ? awq_place(rows, row, column)
                                                     : gptq_place(bits, rows, row, column);
  return static_cast<int>(at<uint32_t>(integers, place.word) >> place.shift & ((1u << bits) - 1));
}

F16 QuantArrays::scale(int64_t row, int64_t group_index) const {
  const int64_t in_group = type == ArrayType::marlin4 ? marlin_scale(row, groups() == 1) : row;
  const F16 stored = at<F16>(scales, group_index * rows + in_group);
  return bf16_scales ? F16{f32_to_f16(bf16_to_f32(stored.bits))} : stored;
}

int QuantArrays::zero(int64_t row, int64_t group_index) const {
  const int bits = array_bits(type), mask = (1 << bits) - 1;
  if (!zeros) return 1 << (bits - 1);
  const int64_t in_word = 32 / bits;
  const WordPlace place =
      type == ArrayType::awq4
          ? awq_place(rows, row, group_index)
          : WordPlace{(group_index * rows + row) / in_word, static_cast<int>(row % in_word) * bits};
  const uint32_t stored = at<uint32_t>(zeros, place.word) >> place.shift;
  return (static_cast<int>(stored & static_cast<uint32_t>(mask)) + added_to_zeros) & mask;
}

float QuantArrays::weight(int64_t row, int64_t column) const {
  const float scale_of_group = f16_to_f32(scale(row, column / group).bits);
  return static_cast<float>(integer(row, column) - zero(row, column / group)) * scale_of_group;
}

void QuantArrays::read_words(int64_t first, int64_t count, int64_t column, uint32_t* words) const {
  const int bits = array_bits(type), in_word = 32 / bits;
  std::memset(words, 0, kPackedRows * sizeof *words);
  const bool is_gptq = type == ArrayType::gptq4 || type == ArrayType::gptq8;
  const auto read = [&](int64_t word, uint32_t* to) {
    std::memcpy(to, integers + word * 4, static_cast<size_t>(count) * sizeof *to);
  };
  if (is_gptq && !order) return read(column / in_word * rows + first, words);
  if (is_gptq) {
    for (int j = 0; j < in_word; j++) {
      const WordPlace place = gptq_place(bits, rows, first, order[column + j]);
      uint32_t its[kPackedRows] = {};
      read(place.word, its);
      for (int64_t i = 0; i < kPackedRows; i++) {
        words[i] |= (its[i] >> place.shift & ((1u << bits) - 1)) << j * bits;
      }
    }
    return;
  }
  for (int64_t i = 0; i < count; i++) {
    for (int j = 0; j < in_word; j++) {
      words[i] |= static_cast<uint32_t>(integer(first + i, column + j)) << j * bits;
    }
  }
}

void RepackArrays::check() const {
  expect_packed("repack arrays", "y", y);
  expect("repack arrays",
         y.dtype == (array_bits(x.type) == 8 ? DType::w8 : DType::w4) &&
             (y.scales == Scales::zero_point || y.scales == Scales::symmetric),
         "y should be w8 or w4, symmetric or with zero points");
  expect("repack arrays",
         y.columns == x.columns && x.group > 0 && (x.group % y.group == 0 || x.group >= x.columns),
         "y should have groups of columns that divide those of x");
  expect("repack arrays",
         first_row % kPackedRows == 0 && first_row >= 0 && y.rows <= x.rows - first_row &&
             x.rows % (x.type == ArrayType::marlin4 ? 64 : 8) == 0,
         "x should have the rows of y");
  expect("repack arrays", x.integers && x.scales, "x should have integers and scales");
  expect("repack arrays", !x.order || x.type == ArrayType::gptq4 || x.type == ArrayType::gptq8,
         "x should be of gptq where it has an order");
}

void repack_arrays_tile(const RepackArrays& op, int64_t tile) {
  const Tensor& y = op.y;
  const int64_t bytes = packed_tile_bytes(y), done = tile * kPackedRows;
  const int64_t first = op.first_row + done;
  const int64_t count = y.rows - done < kPackedRows ? y.rows - done : kPackedRows;
  auto* start = y.as<unsigned char>() + tile * bytes;
  unsigned char* line = start + packed_scale_bytes(y.columns, y.group, y.scales);
  std::memset(start, 0, static_cast<size_t>(line - start));

  const int bits = packed_bits(y.dtype);
  for (int64_t column = 0; column < y.columns; column += 32 / bits, line += kPackedLine) {
    uint32_t words[kPackedRows];
    op.x.read_words(first, count, column, words);
    if (bits == 4) {
      for (uint32_t& word : words) word = as_steps(word);
    }
    std::memcpy(line, words, sizeof words);
  }

  const PackedScales scales = packed_scales(start, y.columns, y.group, y.scales);
  const int in_the_middle = packed_zero(y.dtype, y.scales);
  for (int64_t group = 0; group < packed_groups(y.columns, y.group); group++) {
    const int64_t theirs = group * y.group / op.x.group;
    for (int64_t lane = 0; lane < count; lane++) {
      const int64_t to = group * kPackedRows + lane;
      const_cast<F16*>(scales.scale)[to] = op.x.scale(first + lane, theirs);
      if (scales.step) {
        const int zero = op.x.zero(first + lane, theirs) - in_the_middle;
        const_cast<int8_t*>(scales.step)[to] = static_cast<int8_t>(zero);
      }
    }
  }
}

}  // namespace minicpm
