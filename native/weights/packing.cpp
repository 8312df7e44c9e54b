#include "native/weights/packing.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "kernels/half.h"
#include "kernels/packed.h"

namespace minicpm {
namespace {

constexpr int64_t kSlabBytes = 8 << 20;  // of f32

/// The stored row of an interleaved matrix that is row `row` of ours.
int64_t interleaved_row(int64_t row, int64_t head_dim) {
  const int64_t in_head = row % head_dim, half = head_dim / 2;
  return row - in_head + in_head % half * 2 + in_head / half;
}

bool packs_as_stored(const WeightSource& source) {
  const size_t size = source.type == StoredType::f32 ? 4 : 2;
  return !is_quantized(source.type) && source.interleaved_heads == 0 && source.offset % size == 0;
}

DType stored_dtype(StoredType type) {
  return type == StoredType::f16 ? DType::f16 : type == StoredType::bf16 ? DType::bf16 : DType::f32;
}

}  // namespace

void read_rows(const os::MappedFile& file, const WeightSource& source, RowRange rows, float* to) {
  const std::byte* stored = file.data() + source.offset;
  if (is_packed(source.type)) {
    const Tensor matrix{const_cast<std::byte*>(stored), packed_dtype(source.type), source.rows,
                        source.columns, source.group};
    for (int64_t i = 0; i < rows.count; ++i) {
      const PackedRow row(matrix, rows.first + i);
      for (int64_t column = 0; column < source.columns; ++column) {
        to[i * source.columns + column] = row.weight(column);
      }
    }
    return;
  }
  const size_t row_bytes = stored_row_bytes(source.type, source.columns);
  const int64_t head_dim =
      source.interleaved_heads > 0 ? source.rows / source.interleaved_heads : 0;
  for (int64_t i = 0; i < rows.count; ++i) {
    const int64_t ours = rows.first + i;
    const int64_t row = head_dim > 0 ? interleaved_row(ours, head_dim) : ours;
    dequantize_row(source.type, stored + static_cast<size_t>(row) * row_bytes, source.columns,
                   to + i * source.columns);
  }
}

void pack_weight(const os::MappedFile& file, const WeightSource& source, RowRange rows,
                 const Tensor& to, Backend& backend, const std::function<void(int64_t)>& packed) {
  const int64_t columns = source.columns;
  const std::byte* stored = file.data() + source.offset;
  const size_t row_bytes = stored_row_bytes(source.type, columns);
  const int64_t tiles = std::max<int64_t>(1, kSlabBytes / (4 * columns * kPackedRows));
  const int64_t most = std::min(tiles * kPackedRows, rows.count);
  const bool as_stored = packs_as_stored(source);
  const Buffer slab(as_stored ? 0 : static_cast<size_t>(4 * most * columns));
  const int64_t tile_bytes = packed_tile_bytes(to.dtype, columns, to.group);

  for (int64_t done = 0; done < rows.count; done += most) {
    const int64_t first = rows.first + done, count = std::min(most, rows.count - done);
    Tensor x{const_cast<std::byte*>(stored) + static_cast<size_t>(first) * row_bytes,
             stored_dtype(source.type), count, columns};
    if (!as_stored) {
      x = {slab.data(), DType::f32, count, columns};
      read_rows(file, source, {first, count}, slab.as<float>());
    }
    std::byte* at = to.as<std::byte>() + done / kPackedRows * tile_bytes;
    backend.run(Pack{.y = {at, to.dtype, count, columns, to.group}, .x = x});
    // Interleaved rows come from rows beside the slab, too: those are read again.
    file.forget(source.offset + static_cast<size_t>(first) * row_bytes,
                static_cast<size_t>(count) * row_bytes);
    packed(count);
  }
}

void repack_weight(const os::MappedFile& file, const WeightSource& source, const Tensor& to,
                   Backend& backend, const std::function<void(int64_t)>& packed) {
  const std::byte* stored = file.data() + source.offset;
  const size_t row_bytes = stored_row_bytes(source.type, source.columns);
  const int64_t head_dim =
      source.interleaved_heads > 0 ? source.rows / source.interleaved_heads : 0;
  const int64_t tiles = std::max<int64_t>(1, kSlabBytes / (4 * source.columns * kPackedRows));
  const int64_t most = std::min(tiles * kPackedRows, source.rows);
  std::vector<const std::byte*> rows;
  for (int64_t first = 0; first < source.rows; first += most) {
    const int64_t count = std::min(most, source.rows - first);
    rows.clear();
    for (int64_t i = first; i < first + count; ++i) {
      const int64_t row = head_dim > 0 ? interleaved_row(i, head_dim) : i;
      rows.push_back(stored + static_cast<size_t>(row) * row_bytes);
    }
    Tensor slab = to;
    slab.data = to.as<std::byte>() + first / kPackedRows * packed_tile_bytes(to);
    slab.rows = count;
    backend.run(Repack{.y = slab, .type = quant_type(source.type), .rows = rows});
    file.forget(source.offset + static_cast<size_t>(first) * row_bytes,
                static_cast<size_t>(count) * row_bytes);
    packed(count);
  }
}

bool pack_ternary_weight(const os::MappedFile& file, const WeightSource& source, const Tensor& to,
                         Backend& backend) {
  std::atomic<bool> exact = true;
  const std::byte* stored = file.data() + source.offset;
  Buffer ours;
  if (!packs_as_stored(source)) {
    ours = Buffer(stored_bytes(source));
    const size_t row_bytes = stored_row_bytes(source.type, source.columns);
    const int64_t head_dim =
        source.interleaved_heads > 0 ? source.rows / source.interleaved_heads : 0;
    for (int64_t i = 0; i < source.rows; i++) {
      const int64_t row = head_dim > 0 ? interleaved_row(i, head_dim) : i;
      std::memcpy(ours.data() + static_cast<size_t>(i) * row_bytes,
                  stored + static_cast<size_t>(row) * row_bytes, row_bytes);
    }
    stored = ours.data();
  }
  const Tensor x{const_cast<std::byte*>(stored), stored_dtype(source.type), source.rows,
                 source.columns};
  backend.run(PackTernary{.y = to, .x = x, .exact = &exact});
  if (exact) file.forget(source.offset, stored_bytes(source));
  return exact;
}

Buffer read_rows_as(const WeightFile& file, const WeightSource& source, RowRange rows, DType type) {
  const auto mapped = map_weights(file);
  expect_inside(*mapped, source, file.path);
  const auto numbers = static_cast<size_t>(source.columns);
  Buffer result(static_cast<size_t>(rows.count) * numbers * size_of(type));
  std::vector<float> row(numbers);
  for (int64_t i = 0; i < rows.count; ++i) {
    read_rows(*mapped, source, {rows.first + i, 1}, row.data());
    std::byte* to = result.data() + static_cast<size_t>(i) * numbers * size_of(type);
    if (type == DType::f32) std::memcpy(to, row.data(), 4 * numbers);
    for (size_t column = 0; column < numbers && type != DType::f32; ++column) {
      const uint16_t half = type == DType::f16 ? f32_to_f16(row[column]) : f32_to_bf16(row[column]);
      std::memcpy(to + 2 * column, &half, sizeof half);
    }
  }
  return result;
}

Buffer pack_rows(const WeightFile& file, const WeightSource& source, const Packing& packing,
                 RowRange rows, Backend& backend) {
  const auto mapped = map_weights(file);
  expect_inside(*mapped, source, file.path);
  const size_t bytes = packed_bytes(packing.format, rows.count, source.columns, packing.group);
  Buffer result(bytes);
  const Tensor to{result.data(), packing.format, rows.count, source.columns, packing.group};
  expect_packed("packWeight", "weight", to);
  pack_weight(*mapped, source, rows, to, backend, [](int64_t) {});
  return result;
}

}  // namespace minicpm
