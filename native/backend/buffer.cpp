#include "native/backend/buffer.h"

#include <atomic>
#include <string>

#include "kernels/error.h"
#include "native/os/os.h"

namespace minicpm {

namespace {

std::atomic<int64_t> bytes_held{0};

}  // namespace

Buffer::Buffer(size_t size) : size_(size) {
  if (size == 0) return;
  data_ = os::allocate_pages(size);
  if (data_ == nullptr) {
    const std::string needed = std::to_string(size), free = std::to_string(os::memory().free);
    throw Error(ErrorCode::kOutOfMemory, needed + " bytes are needed, " + free + " are free",
                {needed, free, "Ask for a smaller context, or close other models."});
  }
  bytes_held += static_cast<int64_t>(size);
}

Buffer::~Buffer() {
  if (data_ == nullptr) return;
  os::free_pages(data_, size_);
  bytes_held -= static_cast<int64_t>(size_);
}

int64_t buffer_bytes() {
  return bytes_held;
}

}  // namespace minicpm
