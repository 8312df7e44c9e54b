// Ops on a CUDA device, for tests: memory, arrays of both sides, and a way to run a body under
// every schedule that the device knows. The device is the emulator (device_simt.cpp).
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "kernels/cuda/ops.h"
#include "test/kernels/kv_blocks.h"
#include "test/kernels/packed_arrays.h"
#include "test/kernels/test.h"

namespace minicpm::test {

void* allocate_on_device(size_t bytes);
void free_on_device(void* address);
void copy_to_device(void* to, const void* from, size_t bytes);
void copy_from_device(void* to, const void* from, size_t bytes);

/// Runs the body under each schedule; what a kernel does that it must not is a failure of the test.
void on_device(const char* file, int line, const std::function<void()>& body);
#define ON_DEVICE(...) on_device(__FILE__, __LINE__, [&] __VA_ARGS__)

/// Memory of the device, freed at the end.
class DeviceBytes {
 public:
  explicit DeviceBytes(size_t bytes) : data_(allocate_on_device(bytes)), size_(bytes) {}
  DeviceBytes(const void* from, size_t bytes) : DeviceBytes(bytes) {
    copy_to_device(data_, from, bytes);
  }
  DeviceBytes(const DeviceBytes&) = delete;
  DeviceBytes& operator=(const DeviceBytes&) = delete;
  ~DeviceBytes() { free_on_device(data_); }

  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  size_t size() const { return size_; }

 private:
  void* data_;
  size_t size_;
};

/// A copy of a tensor.
class DeviceTensor {
 public:
  explicit DeviceTensor(const Tensor& from) : view_(from), bytes_(from.data, from.bytes()) {
    view_.data = bytes_.as<void>();
  }

  Tensor tensor() const { return view_; }
  /// To memory of the host as large.
  void read(const Tensor& to) const { copy_from_device(to.data, view_.data, view_.bytes()); }

 private:
  Tensor view_;
  DeviceBytes bytes_;
};

template <typename T>
DeviceBytes on_device_list(const std::vector<T>& list) {
  return DeviceBytes(list.data(), list.size() * sizeof(T));
}

/// Copies of sequences' KV blocks and the rows of a batch that stand in them.
class DeviceBatch {
 public:
  DeviceBatch(int rows, const std::vector<Segment>& segments, const KvLayout& layout,
              const std::vector<const KvBlocks*>& sequences);

  cuda::Batch batch() const { return {rows_->as<cuda::BatchRow>(), count_}; }
  /// Blocks of sequence `index`, to ones on the host.
  void read(size_t index, KvBlocks& to) const;
  /// Where they start.
  const void* blocks_of(size_t index) const { return memory_[index]->as<void>(); }

 private:
  int count_;
  std::vector<std::unique_ptr<DeviceBytes>> memory_, tables_;
  std::unique_ptr<DeviceBytes> rows_;
};

}  // namespace minicpm::test
