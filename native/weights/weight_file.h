// Files of weights, and what is told when one is not what its header promised.
#pragma once

#include <memory>
#include <string>

#include "native/os/os.h"
#include "native/weights/weight_source.h"

namespace minicpm {

struct WeightFile {
  std::string path;
  size_t bytes;  // as its header was checked against
};

/// Throws Error{kCheckpoint} where the file cannot be read or has another size.
std::unique_ptr<os::MappedFile> map_weights(const WeightFile& file);

/// Throws Error{kCheckpoint} unless the bytes of `source` are inside the file, its rows whole, and
/// packed ones where the CPU can read them.
void expect_inside(const os::MappedFile& file, const WeightSource& source, const std::string& path);

/// The same for `bytes` of a tensor at `offset`.
void expect_inside(const os::MappedFile& file, size_t offset, size_t bytes, const std::string& path,
                   const std::string& tensor);

[[noreturn]] void throw_checkpoint(const std::string& file, const std::string& tensor,
                                   const std::string& expected, const std::string& found);

}  // namespace minicpm
