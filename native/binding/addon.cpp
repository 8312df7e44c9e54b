// The addon's entry: NativeAddon of src/native/binding.ts.
#include <napi.h>

#include "kernels/cpu/table.h"
#include "kernels/packed.h"
#include "native/backend/buffer.h"
#include "native/backend/plugin.h"
#include "native/binding/calibration_binding.h"
#include "native/binding/environment.h"
#include "native/binding/model_binding.h"
#include "native/binding/pack_binding.h"
#include "native/binding/probe_binding.h"
#include "native/binding/read.h"
#include "native/binding/sequence_binding.h"
#include "native/os/os.h"

namespace minicpm {
namespace {

Napi::Object describe_device(Napi::Env env, const char* name, const Napi::Array& isas) {
  const os::Memory memory = os::memory();
  Napi::Object device = Napi::Object::New(env);
  device.Set("name", name);
  device.Set("description", os::cpu_name());
  device.Set("isas", isas);
  device.Set("cores", os::physical_cores());
  device.Set("freeBytes", static_cast<double>(memory.free));
  device.Set("totalBytes", static_cast<double>(memory.total));
  return device;
}

// devices(): DeviceInfo[]
Napi::Value devices(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array isas = Napi::Array::New(env);
  for (const CpuKernels* kernels : cpu_kernel_sets()) {
    if (kernels->supported()) isas.Set(isas.Length(), kernels->isa);
  }
  Napi::Array result = Napi::Array::New(env);
  result.Set(0u, describe_device(env, "cpu", isas));
  result.Set(1u, describe_device(env, "reference", Napi::Array::New(env)));
  return result;
}

// pluginDevices(plugin): DeviceInfo[]
Napi::Value plugin_devices(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string path = read_text(info[0], "plugin");
  const std::vector<PluginDevice> found =
      throwing_js(env, [&] { return open_plugin(path).devices(); });
  Napi::Array result = Napi::Array::New(env);
  for (const PluginDevice& each : found) {
    Napi::Object device = Napi::Object::New(env);
    Napi::Array isas = Napi::Array::New(env);
    isas.Set(0u, each.isa);
    device.Set("name", each.name);
    device.Set("description", each.description);
    device.Set("isas", isas);
    device.Set("cores", 0);
    device.Set("freeBytes", static_cast<double>(each.free_bytes));
    device.Set("totalBytes", static_cast<double>(each.total_bytes));
    Napi::Object limits = Napi::Object::New(env);
    limits.Set("bytesPerSecond", each.limits.bytes);
    limits.Set("flopsPerSecond", each.limits.flop);
    limits.Set("int8OpsPerSecond", each.limits.int8_ops);
    device.Set("limits", limits);
    result.Set(result.Length(), device);
  }
  return result;
}

// memoryPlan(plan, { capacity, sequences }): MemoryPlan
Napi::Value memory_plan(const Napi::CallbackInfo& info) {
  return memory_plan_of(read_model_plan(info[0]), info[1]);
}

// nativeBytes(): { allocated, mapped }
Napi::Value native_bytes(const Napi::CallbackInfo& info) {
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("allocated", static_cast<double>(buffer_bytes()));
  result.Set("mapped", static_cast<double>(os::mapped_bytes()));
  return result;
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  auto* environment = new Environment(env);
  env.SetInstanceData<Environment>(environment);
  environment->model_class = Napi::Persistent(ModelBinding::define(env));
  environment->sequence_class = Napi::Persistent(SequenceBinding::define(env));
  environment->calibration_class = Napi::Persistent(CalibrationBinding::define(env));
  exports.Set("createCalibration",
              Napi::Function::New(env, CalibrationBinding::create, "createCalibration"));
  exports.Set("devices", Napi::Function::New(env, devices, "devices"));
  exports.Set("pluginDevices", Napi::Function::New(env, plugin_devices, "pluginDevices"));
  exports.Set("memoryPlan", Napi::Function::New(env, memory_plan, "memoryPlan"));
  exports.Set("loadModel", Napi::Function::New(env, ModelBinding::load, "loadModel"));
  exports.Set("nativeBytes", Napi::Function::New(env, native_bytes, "nativeBytes"));
  exports.Set("packWeight", Napi::Function::New(env, pack_weight_rows, "packWeight"));
  exports.Set("readWeight", Napi::Function::New(env, read_weight_rows, "readWeight"));
  exports.Set("packedLayout", kPackedLayout);
  exports.Set("probe", Napi::Function::New(env, probe, "probe"));
  return exports;
}

NODE_API_MODULE(minicpm, init)

}  // namespace
}  // namespace minicpm
