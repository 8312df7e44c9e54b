// The stand-in's device, versions and words for errors. It is like the smallest of our targets.
#include <cstdio>
#include <cstring>

#include "test/ptx/runtime.h"

using namespace minicpm::ptx;

namespace {

constexpr int kOldDriver = 11040;
constexpr int kMajor = 8, kMinor = 0, kProcessors = 4, kShared = 48 << 10, kMostShared = 99 << 10;

struct Words {
  cudaError_t error;
  const char *name, *text;
};

constexpr Words kErrors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration",
     "invalid configuration argument"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress",
     "an illegal memory access was encountered"},
    {cudaErrorLaunchOutOfResources, "cudaErrorLaunchOutOfResources",
     "too many resources requested for launch"},
    {cudaErrorMisalignedAddress, "cudaErrorMisalignedAddress", "misaligned address"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"}};

Words words_for(cudaError_t error) {
  for (const Words& words : kErrors) {
    if (words.error == error) return words;
  }
  return {error, "unrecognized error code", "unrecognized error code"};
}

/// Whether the attribute is known, and its value.
bool attribute_of(cudaDeviceAttr attribute, int& value) {
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      return value = 1024, true;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      return value = kShared, true;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      return value = kMostShared, true;
    case cudaDevAttrWarpSize:
      return value = 32, true;
    case cudaDevAttrMultiProcessorCount:
      return value = kProcessors, true;
    case cudaDevAttrComputeCapabilityMajor:
      return value = kMajor, true;
    case cudaDevAttrComputeCapabilityMinor:
      return value = kMinor, true;
    case cudaDevAttrL2CacheSize:
      return value = 4 << 20, true;
    case cudaDevAttrClockRate:
      return value = 1410000, true;  // kHz
    case cudaDevAttrMemoryClockRate:
      return value = 1215000, true;  // kHz
    case cudaDevAttrGlobalMemoryBusWidth:
      return value = 5120, true;  // bits
    case cudaDevAttrIntegrated:
      return value = 0, true;
    default:
      return false;
  }
}

}  // namespace

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  Locked locked;
  *count = 0;
  if (const cudaError_t error = locked.runtime.begin()) return error;
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  Locked locked;
  if (const cudaError_t error = locked.runtime.begin()) return error;
  return device == 0 ? cudaSuccess : locked.runtime.end(cudaErrorInvalidDevice);
}

cudaError_t cudaGetDevice(int* device) {
  Locked locked;
  if (const cudaError_t error = locked.runtime.begin()) return error;
  *device = 0;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  Locked locked;
  Runtime& cuda = locked.runtime;
  if (const cudaError_t error = cuda.begin()) return error;
  if (device != 0) return cuda.end(cudaErrorInvalidDevice);
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "PTX interpreter");
  properties->totalGlobalMem = cuda.settings.vram;
  properties->sharedMemPerBlock = kShared;
  properties->sharedMemPerBlockOptin = kMostShared;
  properties->regsPerBlock = 65536;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = 1024;
  properties->maxThreadsPerMultiProcessor = 1536;
  properties->multiProcessorCount = kProcessors;
  properties->major = kMajor;
  properties->minor = kMinor;
  properties->memoryBusWidth = 256;
  properties->l2CacheSize = 4 << 20;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  Locked locked;
  Runtime& cuda = locked.runtime;
  if (const cudaError_t error = cuda.begin()) return error;
  if (device != 0) return cuda.end(cudaErrorInvalidDevice);
  if (attribute_of(attribute, *value)) return cudaSuccess;
  return cuda.fault(cudaErrorInvalidValue, "the stand-in does not know device attribute " +
                                               std::to_string(static_cast<int>(attribute)));
}

cudaError_t cudaDeviceSynchronize() {
  Locked locked;
  Runtime& cuda = locked.runtime;
  if (const cudaError_t error = cuda.begin()) return error;
  cuda.finish_all();
  return cuda.sticky ? cuda.end(cuda.sticky) : cudaSuccess;
}

/// Frees everything and forgets errors that stick.
cudaError_t cudaDeviceReset() {
  Locked locked;
  Runtime& cuda = locked.runtime;
  cuda.finish_all();
  device_memory().free_all();
  for (auto& module : cuda.modules) module->program.reset();
  for (Stream* stream : cuda.streams) delete stream;
  for (Event* event : cuda.events) delete event;
  cuda.streams.clear();
  cuda.events.clear();
  cuda.sticky = cuda.last = cudaSuccess;
  return cudaSuccess;
}

// Without a device there may be no driver at all: the version is 0 then, and that is no error.
cudaError_t cudaDriverGetVersion(int* version) {
  Locked locked;
  const Device device = locked.runtime.settings.device;
  *version = device == Device::none         ? 0
             : device == Device::old_driver ? kOldDriver
                                            : CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaGetLastError() {
  Locked locked;
  const cudaError_t error = std::exchange(locked.runtime.last, cudaSuccess);
  return locked.runtime.sticky ? locked.runtime.sticky : error;
}

cudaError_t cudaPeekAtLastError() {
  Locked locked;
  return locked.runtime.sticky ? locked.runtime.sticky : locked.runtime.last;
}

const char* cudaGetErrorName(cudaError_t error) {
  return words_for(error).name;
}

const char* cudaGetErrorString(cudaError_t error) {
  return words_for(error).text;
}

}  // extern "C"
