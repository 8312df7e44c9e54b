#include "native/weights/weight_file.h"

#include "kernels/error.h"
#include "kernels/packed.h"

namespace minicpm {

std::unique_ptr<os::MappedFile> map_weights(const WeightFile& file) {
  auto mapped = std::make_unique<os::MappedFile>(file.path);
  if (mapped->size() != file.bytes) {
    throw_checkpoint(file.path, "file size", std::to_string(file.bytes) + " bytes",
                     std::to_string(mapped->size()) + " bytes");
  }
  return mapped;
}

void expect_inside(const os::MappedFile& file, const WeightSource& source,
                   const std::string& path) {
  const int64_t block = stored_block(source.type);
  if (source.columns % block != 0) {
    throw_checkpoint(path, source.name,
                     "rows of a multiple of " + std::to_string(block) + " numbers",
                     std::to_string(source.columns));
  }
  if (is_packed(source.type) && source.offset % kPackedLine != 0) {
    throw_checkpoint(path, source.name, "an offset that is a multiple of 64",
                     std::to_string(source.offset));
  }
  expect_inside(file, source.offset, stored_bytes(source), path, source.name);
}

void expect_inside(const os::MappedFile& file, size_t offset, size_t bytes, const std::string& path,
                   const std::string& tensor) {
  if (offset <= file.size() && bytes <= file.size() - offset) return;
  throw_checkpoint(path, tensor, std::to_string(bytes) + " bytes at " + std::to_string(offset),
                   "a file of " + std::to_string(file.size()) + " bytes");
}

void throw_checkpoint(const std::string& file, const std::string& tensor,
                      const std::string& expected, const std::string& found) {
  throw Error(ErrorCode::kCheckpoint,
              file + ", " + tensor + ": expected " + expected + ", found " + found,
              {file, tensor, expected, found});
}

}  // namespace minicpm
