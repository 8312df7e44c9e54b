// A CUDA device's memory. What passes to and from the host does so by pinned memory, so that the
// host waits for nothing but `synchronize`.
#pragma once

#include <map>
#include <mutex>
#include <vector>

#include "native/backend/memory.h"
#include "native/cuda/device.h"

namespace minicpm::cuda {

class CudaMemory final : public Memory {
 public:
  /// Throws Error{kDevice, kOutOfMemory}. `device` outlives it.
  explicit CudaMemory(Device& device);
  ~CudaMemory() override;

  bool is_host() const override { return false; }
  std::byte* allocate(size_t bytes) override;
  /// Some freed memory is kept for the next of its size, KV blocks above all: giving it back would
  /// wait for the device. It counts as free, and goes back where another size needs it.
  void free(std::byte* data, size_t bytes) noexcept override;
  int64_t free_bytes() override;
  void upload(void* to, const void* from, size_t bytes) override;
  void download(void* to, const void* from, size_t bytes) override;
  void copy(void* to, const void* from, size_t bytes) override;
  void zero(void* to, const Pieces& pieces) override;
  void synchronize() override;

 private:
  /// The host's memory on one side of copies; used from its start again once they have ended.
  struct Passage {
    explicit Passage(Device& device);
    ~Passage() { device.free_pinned(data); }

    Device& device;
    std::byte* const data;
    size_t used = 0;
  };
  struct Download {
    void* to;
    const std::byte* from;
    size_t bytes;
  };

  std::byte* room_in(Passage& passage, size_t& bytes);
  void settle();
  void let_go_of_kept() noexcept;

  Device& device_;
  std::mutex mutex_;  // of what follows; the device is used by who has it, so never the other way
  Passage up_, down_;
  std::vector<Download> downloads_;
  std::multimap<size_t, std::byte*> kept_;
  size_t kept_bytes_ = 0;
};

}  // namespace minicpm::cuda
