#include <atomic>
#include <cstring>
#include <string>

#include "kernels/error.h"
#include "native/backend/buffer.h"
#include "native/os/os.h"

namespace minicpm {

namespace {

std::atomic<int64_t> bytes_held{0};

class HostMemory final : public Memory {
 public:
  bool is_host() const override { return true; }

  std::byte* allocate(size_t bytes) override {
    std::byte* data = os::allocate_pages(bytes);
    if (data == nullptr) {
      const std::string needed = std::to_string(bytes), free = std::to_string(free_bytes());
      throw Error(ErrorCode::kOutOfMemory, needed + " bytes are needed, " + free + " are free",
                  {needed, free, "Ask for a smaller context, or close other models."});
    }
    bytes_held += static_cast<int64_t>(bytes);
    return data;
  }

  void free(std::byte* data, size_t bytes) noexcept override {
    os::free_pages(data, bytes);
    bytes_held -= static_cast<int64_t>(bytes);
  }

  int64_t free_bytes() override { return os::memory().free; }

  void upload(void* to, const void* from, size_t bytes) override { copy(to, from, bytes); }
  void download(void* to, const void* from, size_t bytes) override { copy(to, from, bytes); }

  void copy(void* to, const void* from, size_t bytes) override {
    if (bytes > 0) std::memcpy(to, from, bytes);
  }

  void zero(void* to, const Pieces& pieces) override {
    for (size_t i = 0; i < pieces.count; ++i) {
      std::memset(static_cast<std::byte*>(to) + i * pieces.pitch, 0, pieces.bytes);
    }
  }

  void synchronize() override {}
};

}  // namespace

Memory& host_memory() {
  static HostMemory memory;
  return memory;
}

int64_t buffer_bytes() {
  return bytes_held;
}

}  // namespace minicpm
