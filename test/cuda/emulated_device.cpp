// The device of native/cuda/device.h by the emulator: one, of 1 GiB or of the bytes that
// MINICPM_EMULATED_BYTES says. What the checker finds is an error of the device's.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "kernels/error.h"
#include "kernels/simt/checker.h"
#include "kernels/simt/memory.h"
#include "native/cuda/device.h"

namespace minicpm::cuda {
namespace {

std::mutex emulator;  // one thread at a time

size_t total_bytes() {
  const char* given = std::getenv("MINICPM_EMULATED_BYTES");
  const size_t most = simt::kRegionBytes - simt::kHeapOffset;
  return given ? std::min(most, static_cast<size_t>(std::strtoull(given, nullptr, 10))) : most;
}

}  // namespace

int device_count() {
  return 1;
}

Device::Device(int index) : index_(index) {
  if (index == 0) return;
  throw Error(ErrorCode::kDevice, "There is no device cuda:" + std::to_string(index) + ".",
              {"cuda:" + std::to_string(index), "cuda:0"});
}

Device::~Device() = default;

Device::Use::Use(const Device&) {
  emulator.lock();
}
Device::Use::~Use() {
  emulator.unlock();
}

DeviceProperties Device::properties() const {
  return {"an emulated device", "simt", {.bytes = 1e9, .flop = 1e9, .int8_ops = 1e9}};
}

DeviceMemory Device::memory() const {
  const size_t total = total_bytes();
  return {static_cast<int64_t>(total - std::min(total, simt::device_bytes_in_use())),
          static_cast<int64_t>(total)};
}

std::byte* Device::allocate(size_t bytes) {
  if (static_cast<int64_t>(bytes) > memory().free) return nullptr;
  return static_cast<std::byte*>(simt::device_allocate(bytes));
}

void Device::free(std::byte* data) noexcept {
  simt::device_free(data);
}

std::byte* Device::allocate_pinned(size_t bytes) {
  return static_cast<std::byte*>(std::malloc(bytes));
}

void Device::free_pinned(std::byte* data) noexcept {
  std::free(data);
}

void Device::copy(void* to, const void* from, size_t bytes) {
  simt::device_copy(to, from, bytes);
}

void Device::zero(void* to, size_t bytes, size_t count, size_t pitch) {
  for (size_t i = 0; i < count; ++i) {
    simt::device_fill(static_cast<std::byte*>(to) + i * pitch, 0, bytes);
  }
}

void Device::synchronize() {
  if (simt::findings.empty()) return;
  std::string text = "The emulator's checker has found:";
  for (const simt::Finding& finding : simt::findings) text += "\n  " + finding.text();
  simt::findings.clear();
  throw Error(ErrorCode::kDevice, text);
}

}  // namespace minicpm::cuda
