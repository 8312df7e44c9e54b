#include "native/weights/array_weights.h"

#include <algorithm>

#include "kernels/packed.h"

namespace minicpm {
namespace {

/// Columns that share a scale once they are packed: each group of the file's is one or several.
int packed_group(int64_t group, int64_t columns) {
  if (group >= columns || group % 128 == 0) return 128;
  return group % 64 == 0 ? 64 : 32;
}

void expect_symmetric(const QuantArrays& arrays, const std::string& file, const std::string& name) {
  const int bits = array_bits(arrays.type), middle = 1 << (bits - 1);
  const int stored = middle - arrays.added_to_zeros;
  const auto both = static_cast<std::byte>(bits == 4 ? stored | stored << 4 : stored);
  const std::span bytes(arrays.zeros, arrays.zero_bytes());
  if (std::ranges::all_of(bytes, [&](std::byte byte) { return byte == both; })) return;
  for (int64_t group = 0; group < arrays.groups(); ++group) {
    for (int64_t row = 0; row < arrays.rows; ++row) {
      const int zero = arrays.zero(row, group);
      if (zero == middle) continue;
      throw_checkpoint(file, name,
                       "zero points of " + std::to_string(middle) + " (it is symmetric)",
                       std::to_string(zero) + " in row " + std::to_string(row));
    }
  }
}

}  // namespace

Tensor packed_arrays(const WeightSource& source, std::byte* data) {
  const bool eight = array_bits(array_type(source.type)) == 8;
  return {data,
          eight ? DType::w8 : DType::w4,
          source.rows,
          source.columns,
          packed_group(source.arrays.group, source.columns),
          source.arrays.symmetric ? Scales::symmetric : Scales::zero_point};
}

void repack_array_weight(std::span<const std::unique_ptr<os::MappedFile>> mapped,
                         std::span<const WeightFile> files, const WeightSource& source,
                         const Tensor& to, Backend& backend) {
  const ArrayParts& parts = source.arrays;
  QuantArrays arrays{.type = array_type(source.type),
                     .rows = parts.rows,
                     .columns = source.columns,
                     .group = parts.group,
                     .added_to_zeros = parts.added_to_zeros};
  const auto map = [&](TensorPlace place, size_t bytes, const char* part) {
    const auto index = static_cast<size_t>(place.file);
    expect_inside(*mapped[index], place.offset, bytes, files[index].path, source.name + part);
    return mapped[index]->data() + place.offset;
  };
  const TensorPlace integers{source.file, source.offset};
  arrays.integers = map(integers, arrays.integer_bytes(), ", integers");
  arrays.scales = map(parts.scales, arrays.scale_bytes(), ", scales");
  if (parts.zeros) {
    constexpr char kZeros[] = ", zero points";
    arrays.zeros = map(*parts.zeros, arrays.zero_bytes(), kZeros);
    const auto& file = files[static_cast<size_t>(parts.zeros->file)];
    if (parts.symmetric) expect_symmetric(arrays, file.path, source.name + kZeros);
  }
  backend.run(RepackArrays{.y = to, .x = arrays, .first_row = parts.first_row});
  mapped[static_cast<size_t>(source.file)]->forget(source.offset, arrays.integer_bytes());
}

}  // namespace minicpm
