#include "native/weights/array_weights.h"

#include <algorithm>
#include <cstring>
#include <vector>

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

/// Columns group by group, each group's in their own order. `groups` are those of the columns, i32.
void order_columns(const std::byte* groups, const QuantArrays& arrays, int32_t* order,
                   const std::string& file, const std::string& name) {
  const int64_t columns = arrays.columns, count = arrays.groups();
  std::vector<int64_t> next(static_cast<size_t>(count));
  for (int64_t group = 0; group < count; ++group) {
    next[static_cast<size_t>(group)] = group * arrays.group;
  }
  for (int64_t column = 0; column < columns; ++column) {
    int32_t group;
    std::memcpy(&group, groups + 4 * column, sizeof group);
    const bool inside = group >= 0 && group < count;
    int64_t* at = inside ? &next[static_cast<size_t>(group)] : nullptr;
    if (!inside || *at == std::min((group + 1) * arrays.group, columns)) {
      throw_checkpoint(
          file, name,
          std::to_string(count) + " groups of " + std::to_string(arrays.group) + " columns",
          "column " + std::to_string(column) + " in group " + std::to_string(group));
    }
    order[(*at)++] = static_cast<int32_t>(column);
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
                         const Tensor& to, int32_t* order, Backend& backend) {
  const ArrayParts& parts = source.arrays;
  QuantArrays arrays{.type = array_type(source.type),
                     .rows = parts.rows,
                     .columns = source.columns,
                     .group = parts.group,
                     .bf16_scales = parts.bf16_scales,
                     .added_to_zeros = parts.added_to_zeros};
  const auto path = [&](TensorPlace place) { return files[static_cast<size_t>(place.file)].path; };
  const auto map = [&](TensorPlace place, size_t bytes, const char* part) {
    const os::MappedFile& file = *mapped[static_cast<size_t>(place.file)];
    expect_inside(file, place.offset, bytes, path(place), source.name + part);
    return file.data() + place.offset;
  };
  const TensorPlace integers{source.file, source.offset};
  arrays.integers = map(integers, arrays.integer_bytes(), ", integers");
  arrays.scales = map(parts.scales, arrays.scale_bytes(), ", scales");
  if (parts.zeros) {
    constexpr char kZeros[] = ", zero points";
    arrays.zeros = map(*parts.zeros, arrays.zero_bytes(), kZeros);
    if (parts.symmetric) expect_symmetric(arrays, path(*parts.zeros), source.name + kZeros);
  }
  if (parts.column_groups) {
    constexpr char kGroups[] = ", groups of columns";
    const auto bytes = static_cast<size_t>(source.columns) * sizeof *order;
    const std::byte* groups = map(*parts.column_groups, bytes, kGroups);
    order_columns(groups, arrays, order, path(*parts.column_groups), source.name + kGroups);
    arrays.order = order;
  }
  backend.run(RepackArrays{.y = to, .x = arrays, .first_row = parts.first_row});
  mapped[static_cast<size_t>(source.file)]->forget(source.offset, arrays.integer_bytes());
}

}  // namespace minicpm
