// A checkpoint's weights in memory: used as mapped wherever the kernels can read them so, converted
// once at load where they can't or where packed ones are asked for; never two copies. For a device
// whose memory is not the host's all that is made on the host, tensor by tensor, and copied.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "kernels/tensor.h"
#include "native/backend/buffer.h"
#include "native/os/os.h"
#include "native/weights/packing.h"
#include "native/weights/weight_file.h"
#include "native/weights/weight_source.h"

namespace minicpm {

struct WeightBytes {
  int64_t mapped = 0;     // of files that stay mapped
  int64_t converted = 0;  // in memory of their own
  int64_t all = 0;        // of what ops read: what a device's memory has to hold
};

/// What `Weights` will take; reads nothing.
WeightBytes plan_weights(std::span<const WeightFile> files, std::span<const WeightSource> sources,
                         const Packing& packing = {});

/// Float and packed matrices stay as the file has them. Converted: vectors (to f32), quantized
/// matrices, those in arrays and ternary ones (repacked as they are), rows stored interleaved
/// (reordered), numbers not aligned to their size (copied); with packing, every float matrix that
/// is not ternary. What becomes packed lies in one piece of memory.
class Weights {
 public:
  using Progress = std::function<bool(int64_t, int64_t)>;

  /// `progress(done, total)` counts bytes; returning false stops with Error{kState}. `backend`
  /// packs, on the host; it may be null where `packing` asks for nothing and nothing is quantized.
  /// `memory` is that of the ops. Throws Error{kCheckpoint} naming file and tensor where a file is
  /// not what the plan says, Error{kShape} where a matrix to be packed has no multiple of 32
  /// columns, Error{kOutOfMemory, kDevice}.
  Weights(std::span<const WeightFile> files, std::span<const WeightSource> sources,
          const Progress& progress, const Packing& packing = {}, Backend* backend = nullptr,
          Memory& memory = host_memory());

  /// Throws Error{kCheckpoint} where there is none of that name.
  Tensor at(const std::string& name) const;
  bool has(const std::string& name) const { return tensors_.contains(name); }
  /// The order that inputs' columns have to have for a matrix whose own were put in order: [1,
  /// columns], i32. Null for all others.
  const Tensor* order_of(const Tensor& matrix) const;
  bool reorders() const { return !orders_.empty(); }

 private:
  /// Packs `source` into `to`, calling `packed(rows)` on the way; false where it only looked
  /// ternary.
  bool fill(const Tensor& to, const WeightSource& source, std::span<const WeightFile> files,
            const Packing& packing, Backend& backend, const std::function<void(int64_t)>& packed);
  Tensor load(const WeightSource& source);
  /// A tensor of the host's where ops find it: there, or its copy on a device.
  Tensor placed(const Tensor& tensor, Memory& memory);

  std::vector<std::unique_ptr<os::MappedFile>> files_;  // null once nothing uses it any more
  std::vector<Buffer> converted_;
  Buffer packed_;
  std::vector<Buffer> on_device_;
  std::unordered_map<std::string, Tensor> tensors_;
  std::unordered_map<const void*, Tensor> orders_;  // by their matrices' data
};

}  // namespace minicpm
