#include "native/weights/weights.h"

#include <cstring>

#include "kernels/error.h"
#include "kernels/packed.h"

namespace minicpm {
namespace {

/// What it becomes is packed, and was not.
bool becomes_packed(const WeightSource& source, const Packing& packing) {
  return packing.packs(source) || packing.repacks(source);
}

size_t alignment(StoredType type) {
  if (is_packed(type)) return kPackedLine;
  return type == StoredType::f32 ? 4 : 2;
}

DType loaded_dtype(const WeightSource& source) {
  if (source.is_vector()) return DType::f32;
  if (source.type == StoredType::f16) return DType::f16;
  if (source.type == StoredType::bf16) return DType::bf16;
  if (is_packed(source.type)) return packed_dtype(source.type);
  return DType::f32;
}

/// The kernels can read it where the file has it: mappings start on a page, so the offset decides.
bool used_as_mapped(const WeightSource& source) {
  return !source.is_vector() && !is_quantized(source.type) && source.interleaved_heads == 0 &&
         source.offset % alignment(source.type) == 0;
}

size_t loaded_bytes(const WeightSource& source) {
  return static_cast<size_t>(source.rows * source.columns) * size_of(loaded_dtype(source));
}

/// Where stored row `row` of an interleaved matrix belongs.
int64_t row_in_halves(int64_t row, int64_t head_dim) {
  const int64_t in_head = row % head_dim;
  return row - in_head + in_head / 2 + (in_head % 2) * (head_dim / 2);
}

}  // namespace

WeightBytes plan_weights(std::span<const WeightFile> files, std::span<const WeightSource> sources,
                         const Packing& packing) {
  WeightBytes result;
  std::vector<bool> stays(files.size());
  for (const WeightSource& source : sources) {
    auto bytes = static_cast<int64_t>(loaded_bytes(source));
    if (becomes_packed(source, packing)) {
      bytes = static_cast<int64_t>(packing.packed(source).bytes());
      if (source.arrays.column_groups) bytes += source.columns * int64_t{sizeof(int32_t)};
      result.converted += bytes;
    } else if (used_as_mapped(source)) {
      bytes = static_cast<int64_t>(stored_bytes(source));
      stays.at(static_cast<size_t>(source.file)) = true;
    } else {
      result.converted += bytes;
    }
    result.all += bytes;
  }
  for (size_t i = 0; i < files.size(); ++i) {
    if (stays[i]) result.mapped += static_cast<int64_t>(files[i].bytes);
  }
  return result;
}

Weights::Weights(std::span<const WeightFile> files, std::span<const WeightSource> sources,
                 const Progress& progress, const Packing& packing, Backend* backend,
                 Memory& memory) {
  for (const WeightFile& file : files) files_.push_back(map_weights(file));
  int64_t done = 0, total = 0;
  size_t packed_bytes = 0;
  for (const WeightSource& source : sources) {
    total += static_cast<int64_t>(stored_bytes(source));
    if (becomes_packed(source, packing)) packed_bytes += packing.packed(source).bytes();
  }
  const auto advance = [&](size_t bytes) {
    done += static_cast<int64_t>(bytes);
    if (progress && !progress(done, total)) throw Error(ErrorCode::kState, "loading was cancelled");
  };
  if (memory.is_host()) packed_ = Buffer(packed_bytes);
  os::prefer_large_pages(packed_.data(), packed_.size());
  std::byte* next = packed_.data();
  std::vector<bool> stays(files.size());
  for (const WeightSource& source : sources) {
    const auto file = static_cast<size_t>(source.file);
    expect_inside(*files_.at(file), source, files[file].path);
    if (becomes_packed(source, packing)) {
      Tensor to = packing.packed(source, next);
      const Buffer passing(memory.is_host() ? 0 : to.bytes());  // on its way to a device
      if (memory.is_host()) {
        next += to.bytes();
      } else {
        to.data = passing.data();
      }
      expect_packed("load", source.name.c_str(), to);
      const size_t row_bytes = stored_row_bytes(source.type, source.columns);
      const auto done_rows = [&](int64_t rows) { advance(static_cast<size_t>(rows) * row_bytes); };
      if (fill(to, source, files, packing, *backend, done_rows)) {
        tensors_[source.name] = placed(to, memory);
        continue;
      }
    }
    tensors_[source.name] = placed(load(source), memory);
    if (used_as_mapped(source)) {
      stays[file] = memory.is_host();
      if (!stays[file]) files_[file]->forget(source.offset, stored_bytes(source));
    }
    advance(stored_bytes(source));
  }
  for (size_t i = 0; i < files_.size(); ++i) {
    if (!stays[i]) files_[i].reset();
  }
}

bool Weights::fill(const Tensor& to, const WeightSource& source, std::span<const WeightFile> files,
                   const Packing& packing, Backend& backend,
                   const std::function<void(int64_t)>& packed) {
  const os::MappedFile& file = *files_[static_cast<size_t>(source.file)];
  if (packing.packs(source)) {
    pack_weight(file, source, {0, source.rows}, to, backend, packed);
  } else if (is_quantized(source.type)) {
    repack_weight(file, source, to, backend, packed);
  } else if (is_in_arrays(source.type)) {
    Tensor order{nullptr, DType::i32, 1, source.columns};
    if (source.arrays.column_groups) {
      converted_.emplace_back(order.bytes());
      order.data = converted_.back().data();
      orders_[to.data] = order;
    }
    repack_array_weight(files_, files, source, to, order.as<int32_t>(), backend);
    packed(source.rows);
  } else {
    if (!pack_ternary_weight(file, source, to, backend)) return false;
    packed(source.rows);
  }
  return true;
}

Tensor Weights::load(const WeightSource& source) {
  const os::MappedFile& file = *files_[static_cast<size_t>(source.file)];
  const size_t bytes = stored_bytes(source);
  const std::byte* stored = file.data() + source.offset;
  Tensor tensor{const_cast<std::byte*>(stored), loaded_dtype(source), source.rows, source.columns,
                source.group};
  if (used_as_mapped(source)) return tensor;

  converted_.emplace_back(loaded_bytes(source));
  tensor.data = converted_.back().data();
  const size_t row_bytes = stored_row_bytes(source.type, source.columns);
  const int64_t head_dim =
      source.interleaved_heads > 0 ? source.rows / source.interleaved_heads : 0;
  for (int64_t row = 0; row < source.rows; ++row) {
    const int64_t target = head_dim > 0 ? row_in_halves(row, head_dim) : row;
    const std::byte* from = stored + static_cast<size_t>(row) * row_bytes;
    std::byte* to = static_cast<std::byte*>(tensor.slice(target, 1).data);
    if (tensor.dtype == DType::f32) {
      dequantize_row(source.type, from, source.columns, reinterpret_cast<float*>(to));
    } else {
      std::memcpy(to, from, row_bytes);
    }
  }
  file.forget(source.offset, bytes);
  return tensor;
}

Tensor Weights::placed(const Tensor& tensor, Memory& memory) {
  if (memory.is_host()) return tensor;
  Tensor result = tensor;
  on_device_.emplace_back(memory, tensor.bytes());
  result.data = on_device_.back().data();
  memory.upload(result.data, tensor.data, tensor.bytes());
  if (const Tensor* order = order_of(tensor)) {
    orders_[result.data] = placed(Tensor(*order), memory);
    orders_.erase(tensor.data);
  }
  converted_.clear();
  return result;
}

Tensor Weights::at(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) throw_checkpoint("model plan", name, "a tensor", "none");
  return found->second;
}

const Tensor* Weights::order_of(const Tensor& matrix) const {
  const auto found = orders_.find(matrix.data);
  return found == orders_.end() ? nullptr : &found->second;
}

}  // namespace minicpm
