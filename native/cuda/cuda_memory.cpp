#include "native/cuda/cuda_memory.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "kernels/error.h"

namespace minicpm::cuda {
namespace {

constexpr size_t kPassageBytes = size_t{4} << 20;
constexpr size_t kPassageAlignment = 16;
constexpr size_t kMostKept = size_t{256} << 20;

Error out_of_memory(size_t needed, int64_t free) {
  const std::string remedy = "Ask for a smaller context, or close other models.";
  return Error(ErrorCode::kOutOfMemory,
               std::to_string(needed) + " bytes of the device's memory are needed, " +
                   std::to_string(free) + " are free. " + remedy,
               {std::to_string(needed), std::to_string(free), remedy});
}

}  // namespace

CudaMemory::Passage::Passage(Device& device)
    : device(device), data([&] {
        const Device::Use use(device);
        return device.allocate_pinned(kPassageBytes);
      }()) {
  if (data != nullptr) return;
  const std::string why = "CUDA cannot pin them in the host's memory. Close other programs.";
  throw Error(ErrorCode::kOutOfMemory, std::to_string(kPassageBytes) + " bytes are needed. " + why,
              {std::to_string(kPassageBytes), "0", why});
}

CudaMemory::CudaMemory(Device& device) : device_(device), up_(device), down_(device) {
  downloads_.reserve(256);
}

CudaMemory::~CudaMemory() {
  static_cast<void>(error_of([&] {
    const Device::Use use(device_);
    let_go_of_kept();
  }));
}

std::byte* CudaMemory::allocate(size_t bytes) {
  const std::lock_guard lock(mutex_);
  const Device::Use use(device_);
  std::byte* data;
  if (const auto found = kept_.find(bytes); found != kept_.end()) {
    data = found->second;
    kept_.erase(found);
    kept_bytes_ -= bytes;
  } else {
    data = device_.allocate(bytes);
    if (data == nullptr) {
      let_go_of_kept();
      data = device_.allocate(bytes);
    }
    if (data == nullptr) throw out_of_memory(bytes, device_.memory().free);
  }
  const std::optional<Error> error = error_of([&] { device_.zero(data, bytes, 1, bytes); });
  if (!error) return data;
  device_.free(data);
  throw Error(*error);
}

void CudaMemory::free(std::byte* data, size_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  const std::optional<Error> error = error_of([&] {
    const Device::Use use(device_);
    if (kept_bytes_ + bytes > kMostKept) return device_.free(data);
    kept_.emplace(bytes, data);
    kept_bytes_ += bytes;
  });
  if (error) device_.free(data);
}

void CudaMemory::let_go_of_kept() noexcept {
  for (const auto& [bytes, data] : kept_) device_.free(data);
  kept_.clear();
  kept_bytes_ = 0;
}

int64_t CudaMemory::free_bytes() {
  const std::lock_guard lock(mutex_);
  const Device::Use use(device_);
  return device_.memory().free + static_cast<int64_t>(kept_bytes_);
}

void CudaMemory::upload(void* to, const void* from, size_t bytes) {
  const std::lock_guard lock(mutex_);
  const Device::Use use(device_);
  for (size_t done = 0, part; done < bytes; done += part) {
    part = bytes - done;
    std::byte* staged = room_in(up_, part);
    std::memcpy(staged, static_cast<const std::byte*>(from) + done, part);
    device_.copy(static_cast<std::byte*>(to) + done, staged, part);
  }
}

void CudaMemory::download(void* to, const void* from, size_t bytes) {
  const std::lock_guard lock(mutex_);
  const Device::Use use(device_);
  for (size_t done = 0, part; done < bytes; done += part) {
    part = bytes - done;
    std::byte* staged = room_in(down_, part);
    device_.copy(staged, static_cast<const std::byte*>(from) + done, part);
    downloads_.push_back({static_cast<std::byte*>(to) + done, staged, part});
  }
}

/// Room for `bytes`, or for the fewer that they become then. Where there is none it waits until all
/// that passes has arrived.
std::byte* CudaMemory::room_in(Passage& passage, size_t& bytes) {
  if (passage.used == kPassageBytes) settle();
  bytes = std::min(bytes, kPassageBytes - passage.used);
  std::byte* room = passage.data + passage.used;
  passage.used += (bytes + kPassageAlignment - 1) / kPassageAlignment * kPassageAlignment;
  return room;
}

void CudaMemory::copy(void* to, const void* from, size_t bytes) {
  const Device::Use use(device_);
  if (bytes > 0) device_.copy(to, from, bytes);
}

void CudaMemory::zero(void* to, const Pieces& pieces) {
  const Device::Use use(device_);
  device_.zero(to, pieces.bytes, pieces.count, pieces.pitch);
}

void CudaMemory::synchronize() {
  const std::lock_guard lock(mutex_);
  const Device::Use use(device_);
  settle();
}

/// All that was queued has ended: what was downloaded goes where it was wanted. Where the device
/// has failed nothing does, and nobody waits for it any more.
void CudaMemory::settle() {
  const std::optional<Error> error = error_of([&] { device_.synchronize(); });
  for (const Download& download : downloads_) {
    if (!error) std::memcpy(download.to, download.from, download.bytes);
  }
  downloads_.clear();
  up_.used = down_.used = 0;
  if (error) throw Error(*error);
}

}  // namespace minicpm::cuda
