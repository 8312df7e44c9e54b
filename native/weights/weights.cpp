#include "native/weights/weights.h"

#include <cstring>

#include "kernels/error.h"

namespace minicpm {
namespace {

size_t alignment(StoredType type) {
  return type == StoredType::f32 ? 4 : 2;
}

DType loaded_dtype(const WeightSource& source) {
  if (source.is_vector()) return DType::f32;
  if (source.type == StoredType::f16) return DType::f16;
  if (source.type == StoredType::bf16) return DType::bf16;
  return DType::f32;
}

bool is_quantized(StoredType type) {
  return stored_row_bytes(type, 32) < 64;
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

[[noreturn]] void throw_checkpoint(const std::string& file, const std::string& tensor,
                                   const std::string& expected, const std::string& found) {
  throw Error(ErrorCode::kCheckpoint,
              file + ", " + tensor + ": expected " + expected + ", found " + found,
              {file, tensor, expected, found});
}

}  // namespace

WeightBytes plan_weights(std::span<const WeightFile> files, std::span<const WeightSource> sources) {
  WeightBytes result;
  std::vector<bool> stays(files.size());
  for (const WeightSource& source : sources) {
    if (used_as_mapped(source)) {
      stays.at(static_cast<size_t>(source.file)) = true;
    } else {
      result.converted += static_cast<int64_t>(loaded_bytes(source));
    }
  }
  for (size_t i = 0; i < files.size(); ++i) {
    if (stays[i]) result.mapped += static_cast<int64_t>(files[i].bytes);
  }
  return result;
}

Weights::Weights(std::span<const WeightFile> files, std::span<const WeightSource> sources,
                 const std::function<bool(int64_t, int64_t)>& progress) {
  for (const WeightFile& file : files) {
    files_.push_back(std::make_unique<os::MappedFile>(file.path));
    if (files_.back()->size() != file.bytes) {
      throw_checkpoint(file.path, "file size", std::to_string(file.bytes) + " bytes",
                       std::to_string(files_.back()->size()) + " bytes");
    }
  }
  int64_t done = 0, total = 0;
  for (const WeightSource& source : sources) total += static_cast<int64_t>(stored_bytes(source));
  std::vector<bool> stays(files.size());
  for (const WeightSource& source : sources) {
    const auto file = static_cast<size_t>(source.file);
    tensors_[source.name] = load(source, files[file].path);
    if (used_as_mapped(source)) stays[file] = true;
    done += static_cast<int64_t>(stored_bytes(source));
    if (progress && !progress(done, total)) throw Error(ErrorCode::kState, "loading was cancelled");
  }
  for (size_t i = 0; i < files_.size(); ++i) {
    if (!stays[i]) files_[i].reset();
  }
}

Tensor Weights::load(const WeightSource& source, const std::string& path) {
  const os::MappedFile& file = *files_.at(static_cast<size_t>(source.file));
  if (is_quantized(source.type) && source.columns % 32 != 0) {
    throw_checkpoint(path, source.name, "rows of a multiple of 32 numbers",
                     std::to_string(source.columns));
  }
  const size_t bytes = stored_bytes(source);
  if (source.offset > file.size() || bytes > file.size() - source.offset) {
    throw_checkpoint(path, source.name,
                     std::to_string(bytes) + " bytes at " + std::to_string(source.offset),
                     "a file of " + std::to_string(file.size()) + " bytes");
  }
  const std::byte* stored = file.data() + source.offset;
  Tensor tensor{const_cast<std::byte*>(stored), loaded_dtype(source), source.rows, source.columns};
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

Tensor Weights::at(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) throw_checkpoint("model plan", name, "a tensor", "none");
  return found->second;
}

}  // namespace minicpm
