// What the plug-in exports: native/backend/plugin.h.
#include "native/backend/plugin.h"

#include "native/cuda/cuda_backend.h"
#include "native/cuda/device.h"

namespace minicpm::cuda {
namespace {

std::vector<PluginDevice> devices() {
  std::vector<PluginDevice> found;
  for (int i = 0; i < device_count(); ++i) {
    const Device device(i);
    const Device::Use use(device);
    const DeviceProperties properties = device.properties();
    const DeviceMemory memory = device.memory();
    found.push_back({"cuda:" + std::to_string(i), properties.description, properties.isa,
                     memory.free, memory.total, properties.limits});
  }
  return found;
}

constexpr Plugin kPlugin{kPluginVersion, __VERSION__, devices, make_cuda_backend, scratch_bytes};

}  // namespace
}  // namespace minicpm::cuda

extern "C" __attribute__((visibility("default"))) const minicpm::Plugin* minicpm_plugin() {
  return &minicpm::cuda::kPlugin;
}
