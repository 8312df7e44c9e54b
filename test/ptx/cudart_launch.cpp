// The stand-in's modules and launches: what nvcc's host code calls (CUDA 12 and later).
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "test/ptx/runtime.h"

using namespace minicpm::ptx;

namespace {

// Of the smallest target.
constexpr unsigned kMostThreads = 1024, kMostThreadsZ = 64, kMostGrid = 65535;
constexpr unsigned kMostShared = 99 << 10;

/// The PTX in a fat binary, which is entries of a header and a payload; empty where it has none
/// that is not compressed.
std::string ptx_in(const char* binary) {
  constexpr uint16_t kPtx = 1;
  constexpr size_t kHeader = 16, kEntry = 16;
  uint64_t size;
  std::memcpy(&size, binary + 8, sizeof size);
  for (size_t at = 0; at + kEntry <= size;) {
    const char* entry = binary + kHeader + at;
    uint16_t kind;
    uint32_t header;
    uint64_t payload;
    std::memcpy(&kind, entry, sizeof kind);
    std::memcpy(&header, entry + 4, sizeof header);
    std::memcpy(&payload, entry + 8, sizeof payload);
    if (header < kEntry || at + header > size || payload > size - at - header) break;
    const std::string text(entry + header, strnlen(entry + header, payload));
    if (kind == kPtx && text.find(".version") != std::string::npos) return text;
    at += header + payload;
  }
  return "";
}

/// Makes the mistake that PTX_EDIT asks for, where this is the module.
void edit(std::string& text) {
  const char* path = std::getenv("PTX_EDIT");
  if (!path) return;
  std::ifstream file(path);
  std::string kernel, number, line;
  std::getline(file, kernel), std::getline(file, number), std::getline(file, line);
  if (!file || text.find(kernel) == std::string::npos) return;
  size_t start = 0;
  for (int i = 1; i < std::stoi(number); i++) start = text.find('\n', start) + 1;
  text.replace(start, text.find('\n', start) - start, line);
}

uint64_t place_variable(const std::vector<std::byte>& bytes) {
  Allocation* made = device_memory().allocate(bytes.size());
  if (!made) throw std::runtime_error("the device has no memory for a module's arrays");
  made->bytes = bytes;
  made->written.assign(bytes.size(), 1);
  return made->address;
}

/// Throws where the text holds what the interpreter does not know.
const Kernel& kernel_of(const HostFunction& function) {
  Module& module = *function.module;
  if (module.text.empty()) {
    throw std::runtime_error(
        "no PTX beside " + function.kernel +
        ": compile with -gencode arch=compute_80,code=compute_80 -no-compress");
  }
  if (!module.program) module.program = parse(module.text, place_variable);
  const auto found = module.program->kernels.find(function.kernel);
  if (found == module.program->kernels.end()) {
    throw std::runtime_error("no kernel " + function.kernel + " in its module");
  }
  return *found->second;
}

bool fits(const dim3& grid, const dim3& block) {
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  return threads > 0 && threads <= kMostThreads && block.z <= kMostThreadsZ && grid.x > 0 &&
         grid.x <= 0x7fffffff && grid.y > 0 && grid.y <= kMostGrid && grid.z > 0 &&
         grid.z <= kMostGrid;
}

cudaError_t error_of(Fault::Kind kind) {
  switch (kind) {
    case Fault::Kind::illegal_address:
      return cudaErrorIllegalAddress;
    case Fault::Kind::misaligned_address:
      return cudaErrorMisalignedAddress;
    default:
      return cudaErrorLaunchFailure;
  }
}

cudaError_t launch(Runtime& cuda, HostFunction& function, const dim3& grid, const dim3& block,
                   void** given, size_t dynamic, Stream& stream) {
  const Kernel* kernel = nullptr;
  try {
    kernel = &kernel_of(function);
  } catch (const std::exception& error) {
    return cuda.fault(cudaErrorInvalidDeviceFunction, error.what());
  }
  if (!fits(grid, block)) return cuda.end(cudaErrorInvalidConfiguration);
  if (dynamic > function.most_dynamic_shared || kernel->shared_bytes + dynamic > kMostShared) {
    return cuda.end(cudaErrorInvalidValue);
  }
  std::vector<std::byte> arguments(kernel->parameter_bytes);
  for (size_t i = 0; i < kernel->parameters.size(); i++) {
    const Parameter& parameter = kernel->parameters[i];
    std::memcpy(arguments.data() + parameter.offset, given[i], parameter.size);
  }
  const LaunchShape shape{
      {grid.x, grid.y, grid.z}, {block.x, block.y, block.z}, static_cast<unsigned>(dynamic)};
  cuda.give(stream, [&cuda, kernel, shape, arguments] {
    if (cuda.sticky) return;
    try {
      run_kernel(*kernel, shape, arguments, cuda.settings.schedule);
    } catch (const Fault& fault) {
      cuda.sticky = cuda.fault(error_of(fault.kind), fault.what());
    }
  });
  // Whether the kernel fails is known when someone waits for it.
  return cudaSuccess;
}

}  // namespace

extern "C" {

void** __cudaRegisterFatBinary(void* wrapper) {
  struct Wrapper {
    int magic, version;
    const char* data;
    void* more;
  };
  Locked locked;
  auto& modules = locked.runtime.modules;
  modules.push_back(std::make_unique<Module>());
  modules.back()->text = ptx_in(static_cast<Wrapper*>(wrapper)->data);
  edit(modules.back()->text);
  return reinterpret_cast<void**>(modules.back().get());
}

void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}  // at the end of the program

void __cudaRegisterFunction(void** module, const char* host, char*, const char* name, int, uint3*,
                            uint3*, dim3*, dim3*, int*) {
  Locked locked;
  locked.runtime.functions[host] = {reinterpret_cast<Module*>(module), name};
}

// The interpreter finds variables in the PTX; the host cannot name them.
void __cudaRegisterVar(void**, char*, char*, const char*, int, size_t, int, int) {}

namespace {

struct Configuration {
  dim3 grid, block;
  size_t dynamic;
  cudaStream_t stream;
};
thread_local std::vector<Configuration> configurations;

}  // namespace

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t dynamic, CUstream_st* stream) {
  configurations.push_back({grid, block, dynamic, stream});
  return 0;
}

cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* dynamic, void* stream) {
  const Configuration top = configurations.back();
  configurations.pop_back();
  *grid = top.grid, *block = top.block, *dynamic = top.dynamic;
  std::memcpy(stream, &top.stream, sizeof top.stream);
  return cudaSuccess;
}

cudaError_t cudaLaunchKernel(const void* host, dim3 grid, dim3 block, void** arguments,
                             size_t dynamic, cudaStream_t handle) {
  Locked locked;
  Runtime& cuda = locked.runtime;
  if (const cudaError_t error = cuda.begin(cudaErrorLaunchOutOfResources)) return cuda.end(error);
  const auto found = cuda.functions.find(host);
  if (found == cuda.functions.end()) return cuda.end(cudaErrorInvalidDeviceFunction);
  Stream* stream = cuda.stream_of(handle);
  if (!stream) return cuda.end(cudaErrorInvalidResourceHandle);
  return launch(cuda, found->second, grid, block, arguments, dynamic, *stream);
}

// A kernel's handle is its host function.
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* host) {
  *kernel = reinterpret_cast<cudaKernel_t>(const_cast<void*>(host));
  return cudaSuccess;
}

cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments,
                               size_t dynamic, cudaStream_t stream) {
  return cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid, block, arguments, dynamic,
                          stream);
}

cudaError_t cudaFuncSetAttribute(const void* host, cudaFuncAttribute attribute, int value) {
  Locked locked;
  Runtime& cuda = locked.runtime;
  if (const cudaError_t error = cuda.begin()) return error;
  const auto found = cuda.functions.find(host);
  if (found == cuda.functions.end()) return cuda.end(cudaErrorInvalidDeviceFunction);
  if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout) return cudaSuccess;
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 ||
      static_cast<unsigned>(value) > kMostShared) {
    return cuda.end(cudaErrorInvalidValue);
  }
  found->second.most_dynamic_shared = static_cast<unsigned>(value);
  return cudaSuccess;
}

}  // extern "C"
