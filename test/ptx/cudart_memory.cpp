// The stand-in's memory: allocations, copies, fills.
#include <cstdlib>
#include <cstring>

#include "test/ptx/runtime.h"

using namespace minicpm::ptx;

namespace {

/// A side of a copy: an allocation of the device, or memory of the host.
struct Side {
  Allocation* allocation;  // null: the host's
  uint64_t address;

  Side(const void* at)
      : allocation(device_memory().at(reinterpret_cast<uint64_t>(at))),
        address(reinterpret_cast<uint64_t>(at)) {}

  std::byte* bytes() const {
    return allocation ? allocation->bytes.data() + (address - allocation->address)
                      : reinterpret_cast<std::byte*>(address);
  }
  uint8_t* written() const { return allocation->written.data() + (address - allocation->address); }
  bool reachable(size_t count) const {
    return !allocation || (!allocation->freed && allocation->holds(address, count));
  }
};

/// What is wrong with a copy; empty where nothing is.
std::string wrong_with(const Side& to, const Side& from, size_t count, cudaMemcpyKind kind) {
  const bool to_device = to.allocation, from_device = from.allocation;
  const bool fits = kind == cudaMemcpyDefault ||
                    (kind == cudaMemcpyHostToHost && !to_device && !from_device) ||
                    (kind == cudaMemcpyHostToDevice && to_device && !from_device) ||
                    (kind == cudaMemcpyDeviceToHost && !to_device && from_device) ||
                    (kind == cudaMemcpyDeviceToDevice && to_device && from_device);
  if (!fits) return "a copy in another direction than its addresses have";
  for (const Side* side : {&to, &from}) {
    if (!side->reachable(count)) {
      return "a copy of " + device_memory().complaint(side->address, count);
    }
  }
  return "";
}

void copy(const Side& to, const Side& from, size_t count) {
  std::memmove(to.bytes(), from.bytes(), count);
  if (to.allocation && from.allocation) std::memmove(to.written(), from.written(), count);
  if (to.allocation && !from.allocation) std::memset(to.written(), 1, count);
}

/// Memory that was freed before the task ran is found then.
void copy_later(Runtime& cuda, const void* to, const void* from, size_t count,
                cudaMemcpyKind kind) {
  const std::string wrong = wrong_with(to, from, count, kind);
  if (wrong.empty()) return copy(to, from, count);
  cuda.sticky = cuda.fault(cudaErrorIllegalAddress, wrong + ", when its turn came");
}

/// Pageable memory of the host is copied to a page-locked place at once, and from one at the end of
/// the call: only between page-locked memory and the device is a copy asynchronous.
cudaError_t copy_in_stream(Runtime& cuda, void* to, const void* from, size_t count,
                           cudaMemcpyKind kind, Stream& stream) {
  if (count == 0) return cuda.sticky;
  const std::string wrong = wrong_with(to, from, count, kind);
  if (!wrong.empty()) return cuda.fault(cudaErrorInvalidValue, wrong);
  const bool from_pageable = !Side(from).allocation && !cuda.is_pinned(from, count);
  const bool to_pageable = !Side(to).allocation && !cuda.is_pinned(to, count);
  if (from_pageable && !to_pageable) {
    const auto* bytes = static_cast<const std::byte*>(from);
    auto staged = std::make_shared<std::vector<std::byte>>(bytes, bytes + count);
    cuda.give(stream, [&cuda, to, staged, kind] {
      copy_later(cuda, to, staged->data(), staged->size(), kind);
    });
    return cuda.sticky;
  }
  const uint64_t number = cuda.give(
      stream, [&cuda, to, from, count, kind] { copy_later(cuda, to, from, count, kind); });
  if (to_pageable) cuda.finish(stream, number);
  return cuda.sticky;
}

cudaError_t fill_in_stream(Runtime& cuda, void* to, int byte, size_t count, Stream& stream) {
  if (count == 0) return cuda.sticky;
  const Side side(to);
  if (!side.allocation || !side.reachable(count)) {
    return cuda.fault(cudaErrorInvalidValue,
                      "a fill of " + device_memory().complaint(side.address, count));
  }
  cuda.give(stream, [&cuda, to, byte, count] {
    const Side now(to);
    if (!now.allocation || !now.reachable(count)) {
      cuda.sticky = cuda.fault(cudaErrorIllegalAddress, "a fill of freed memory");
      return;
    }
    std::memset(now.bytes(), byte, count);
    std::memset(now.written(), 1, count);
  });
  return cuda.sticky;
}

}  // namespace

extern "C" {

cudaError_t cudaMalloc(void** address, size_t bytes) {
  Locked locked;
  Runtime& cuda = locked.runtime;
  if (const cudaError_t error = cuda.begin_allocation()) return error;
  *address = nullptr;
  if (bytes == 0) return cudaSuccess;
  const Allocation* made = device_memory().allocate(bytes);
  if (!made) return cuda.end(cudaErrorMemoryAllocation);
  *address = reinterpret_cast<void*>(made->address);
  return cudaSuccess;
}

cudaError_t cudaFree(void* address) {
  Locked locked;
  Runtime& cuda = locked.runtime;
  cuda.finish_all();
  if (!address || device_memory().free(reinterpret_cast<uint64_t>(address))) return cuda.sticky;
  return cuda.fault(
      cudaErrorInvalidValue,
      "cudaFree of " + device_memory().complaint(reinterpret_cast<uint64_t>(address), 0));
}

cudaError_t cudaHostAlloc(void** address, size_t bytes, unsigned) {
  Locked locked;
  Runtime& cuda = locked.runtime;
  if (const cudaError_t error = cuda.begin_allocation()) return error;
  *address = std::malloc(bytes ? bytes : 1);
  if (!*address) return cuda.end(cudaErrorMemoryAllocation);
  cuda.pinned[*address] = bytes;
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void** address, size_t bytes) {
  return cudaHostAlloc(address, bytes, cudaHostAllocDefault);
}

cudaError_t cudaFreeHost(void* address) {
  Locked locked;
  Runtime& cuda = locked.runtime;
  cuda.finish_all();
  if (!address) return cuda.sticky;
  if (!cuda.pinned.erase(address)) {
    return cuda.fault(cudaErrorInvalidValue, "cudaFreeHost of what is not page-locked");
  }
  std::free(address);
  return cuda.sticky;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t count, cudaMemcpyKind kind,
                            cudaStream_t handle) {
  Locked locked;
  Runtime& cuda = locked.runtime;
  if (const cudaError_t error = cuda.begin()) return error;
  Stream* stream = cuda.stream_of(handle);
  if (!stream) return cuda.end(cudaErrorInvalidResourceHandle);
  return copy_in_stream(cuda, to, from, count, kind, *stream);
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t count, cudaMemcpyKind kind) {
  Locked locked;
  Runtime& cuda = locked.runtime;
  if (const cudaError_t error = cuda.begin()) return error;
  const cudaError_t error = copy_in_stream(cuda, to, from, count, kind, cuda.legacy);
  cuda.finish(cuda.legacy);
  return error ? error : cuda.sticky;
}

cudaError_t cudaMemsetAsync(void* to, int byte, size_t count, cudaStream_t handle) {
  Locked locked;
  Runtime& cuda = locked.runtime;
  if (const cudaError_t error = cuda.begin()) return error;
  Stream* stream = cuda.stream_of(handle);
  if (!stream) return cuda.end(cudaErrorInvalidResourceHandle);
  return fill_in_stream(cuda, to, byte, count, *stream);
}

cudaError_t cudaMemset2DAsync(void* to, size_t pitch, int byte, size_t width, size_t height,
                              cudaStream_t handle) {
  Locked locked;
  Runtime& cuda = locked.runtime;
  if (const cudaError_t error = cuda.begin()) return error;
  Stream* stream = cuda.stream_of(handle);
  if (!stream) return cuda.end(cudaErrorInvalidResourceHandle);
  if (width > pitch) return cuda.end(cudaErrorInvalidPitchValue);
  for (size_t row = 0; row < height; row++) {
    std::byte* from = static_cast<std::byte*>(to) + row * pitch;
    if (const cudaError_t error = fill_in_stream(cuda, from, byte, width, *stream)) return error;
  }
  return cudaSuccess;
}

cudaError_t cudaMemset(void* to, int byte, size_t count) {
  return cudaMemsetAsync(to, byte, count, nullptr);
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  Locked locked;
  Runtime& cuda = locked.runtime;
  if (const cudaError_t error = cuda.begin()) return error;
  *total = cuda.settings.vram;
  *free = cuda.settings.vram - std::min(cuda.settings.vram, device_memory().in_use());
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* address) {
  Locked locked;
  Runtime& cuda = locked.runtime;
  if (const cudaError_t error = cuda.begin()) return error;
  *attributes = {};
  const Side side(address);
  const bool device = side.allocation && !side.allocation->freed;
  attributes->type = device                       ? cudaMemoryTypeDevice
                     : cuda.is_pinned(address, 1) ? cudaMemoryTypeHost
                                                  : cudaMemoryTypeUnregistered;
  if (device) attributes->devicePointer = const_cast<void*>(address);
  if (attributes->type == cudaMemoryTypeHost) {
    attributes->hostPointer = const_cast<void*>(address);
  }
  return cudaSuccess;
}

}  // extern "C"
