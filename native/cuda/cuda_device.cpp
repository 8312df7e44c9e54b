// The device by CUDA's runtime, which is linked in and opens the driver when it is first called.
#include <cuda_runtime_api.h>

#include "kernels/error.h"
#include "native/cuda/device.h"

namespace minicpm::cuda {
namespace {

void check(cudaError_t error, const std::string& what) {
  if (error == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());  // told; the next call has its own
  throw Error(ErrorCode::kDevice, "CUDA: " + what + " failed: " + cudaGetErrorString(error) + " (" +
                                      cudaGetErrorName(error) + ", " +
                                      std::to_string(static_cast<int>(error)) + ").");
}

cudaStream_t stream_of(const Device& device) {
  return static_cast<cudaStream_t>(device.stream());
}

/// Operations of one multiprocessor a clock, as NVIDIA's papers on each architecture have them:
/// float32 by its cores, int8 dense by its tensor cores.
struct PerClock {
  int flop, int8_ops;
};

PerClock per_clock(int capability) {
  if (capability == 80) return {128, 4096};
  if (capability >= 90 && capability < 120) return {256, 8192};
  return {256, 2048};  // 8.6 to 8.9, 12.x
}

double attribute(cudaDeviceAttr which, int index) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, index), "asking what the device can do");
  return value;
}

DeviceLimits limits_of(const cudaDeviceProp& properties, int index) {
  const PerClock clock = per_clock(properties.major * 10 + properties.minor);
  const double clocks =
      1e3 * attribute(cudaDevAttrClockRate, index) * properties.multiProcessorCount;
  // Memory moves bits twice a clock.
  const double bits = 2e3 * attribute(cudaDevAttrMemoryClockRate, index) *
                      attribute(cudaDevAttrGlobalMemoryBusWidth, index);
  return {bits / 8, clocks * clock.flop, clocks * clock.int8_ops};
}

}  // namespace

int device_count() {
  int count = 0;
  check(cudaGetDeviceCount(&count), "looking for devices");
  return count;
}

Device::Device(int index) : index_(index) {
  check(cudaSetDevice(index), "taking device " + std::to_string(index));
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream");
  stream_ = stream;
}

Device::~Device() {
  cudaSetDevice(index_);
  cudaStreamDestroy(stream_of(*this));
}

Device::Use::Use(const Device& device) {
  check(cudaSetDevice(device.index_), "taking device " + std::to_string(device.index_));
}

Device::Use::~Use() = default;

DeviceProperties Device::properties() const {
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, index_), "asking what device it is");
  return {properties.name,
          "sm_" + std::to_string(properties.major) + std::to_string(properties.minor),
          limits_of(properties, index_)};
}

DeviceMemory Device::memory() const {
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "asking for free memory");
  return {static_cast<int64_t>(free), static_cast<int64_t>(total)};
}

std::byte* Device::allocate(size_t bytes) {
  void* data = nullptr;
  const cudaError_t error = cudaMalloc(&data, bytes);
  if (error == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    return nullptr;
  }
  check(error, "allocating " + std::to_string(bytes) + " bytes");
  return static_cast<std::byte*>(data);
}

void Device::free(std::byte* data) noexcept {
  cudaFree(data);
}

std::byte* Device::allocate_pinned(size_t bytes) {
  void* data = nullptr;
  const cudaError_t error = cudaHostAlloc(&data, bytes, cudaHostAllocDefault);
  if (error == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    return nullptr;
  }
  check(error, "pinning " + std::to_string(bytes) + " bytes of the host's memory");
  return static_cast<std::byte*>(data);
}

void Device::free_pinned(std::byte* data) noexcept {
  cudaFreeHost(data);
}

void Device::copy(void* to, const void* from, size_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_of(*this)),
        "copying " + std::to_string(bytes) + " bytes");
}

void Device::zero(void* to, size_t bytes, size_t count, size_t pitch) {
  const cudaError_t error = count == 1
                                ? cudaMemsetAsync(to, 0, bytes, stream_of(*this))
                                : cudaMemset2DAsync(to, pitch, 0, bytes, count, stream_of(*this));
  check(error, "zeroing " + std::to_string(bytes * count) + " bytes");
}

void Device::synchronize() {
  check(cudaStreamSynchronize(stream_of(*this)), "what was started");
}

}  // namespace minicpm::cuda
