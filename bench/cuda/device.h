// What a bench needs of a GPU: memory and time.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <functional>

namespace minicpm::bench {

/// Throws Error{kDevice} with CUDA's own words.
void expect_success(cudaError_t error, const char* what);

/// Memory of the device, freed at the end.
class DeviceMemory {
 public:
  explicit DeviceMemory(size_t bytes);
  DeviceMemory(const void* from, size_t bytes);
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;
  ~DeviceMemory() { (void)cudaFree(data_); }

  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
};

/// Seconds that `run` takes on the device: the mean over `runs`, after one that does not count. Its
/// argument counts up, so that it can take other memory each time.
double seconds_of(const std::function<void(int)>& run, int runs);

/// Bytes that a copy of `bytes` within the device's memory reads and writes a second.
double copy_bandwidth(size_t bytes);

}  // namespace minicpm::bench
