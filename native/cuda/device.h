// One CUDA device and the stream that everything on it runs in. cuda_device.cpp has it from CUDA's
// runtime; where there is no GPU, test/cuda/emulated_device.cpp from the emulator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "kernels/cuda/ops.h"
#include "native/backend/plugin.h"

namespace minicpm::cuda {

struct DeviceProperties {
  std::string description;  // its own name
  std::string isa;          // "sm_90"
  DeviceLimits limits;
};

/// Devices of this machine. Throws Error{kDevice} in CUDA's words where it cannot say.
int device_count();

struct DeviceMemory {
  int64_t free, total;
};

/// What is called on it is queued, and has ended after `synchronize`; the others act at once.
/// Everything throws Error{kDevice} in CUDA's words where it fails, also because of what was queued
/// before.
class Device {
 public:
  explicit Device(int index);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  DeviceProperties properties() const;
  DeviceMemory memory() const;
  Stream stream() const { return stream_; }

  /// Held by a thread while it calls launchers or what follows: CUDA's calls are about the device
  /// that a thread has made its own.
  class Use {
   public:
    explicit Use(const Device& device);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
  };

  /// Null where there is no memory.
  std::byte* allocate(size_t bytes);
  void free(std::byte* data) noexcept;
  /// The host's memory that copies take without a stop on the way; null where there is none.
  std::byte* allocate_pinned(size_t bytes);
  void free_pinned(std::byte* data) noexcept;

  /// Either side may be the device's or pinned.
  void copy(void* to, const void* from, size_t bytes);
  /// Zeros in `count` rows of `bytes` bytes, `pitch` bytes apart.
  void zero(void* to, size_t bytes, size_t count, size_t pitch);
  void synchronize();

 private:
  const int index_;
  Stream stream_ = nullptr;
};

}  // namespace minicpm::cuda
