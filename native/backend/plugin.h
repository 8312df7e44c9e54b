// Devices of another kind live in a shared library of their own, which is opened at run time: what
// it exports, and how it is opened.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "native/backend/backend.h"

namespace minicpm {

/// Counts up with every change of what crosses the border: this file, backend.h, and all that they
/// include.
constexpr int kPluginVersion = 2;

/// What a device can do at most, a second, by its clocks and widths.
struct DeviceLimits {
  double bytes = 0;     // of its memory
  double flop = 0;      // of float32, multiplications and additions
  double int8_ops = 0;  // the same of int8, on tensor cores
};

struct PluginDevice {
  std::string name;         // as plans name it: "cuda:0"
  std::string description;  // the device's own name
  std::string isa;          // "sm_90"
  int64_t free_bytes, total_bytes;
  DeviceLimits limits;
};

/// What decides how much a backend takes beside tensors and KV blocks.
struct ScratchShape {
  int64_t rows;  // of a batch, at most
  int64_t heads, kv_heads, head_dim, vocab_size;
  int64_t capacity;  // tokens of a sequence
};

/// Classes and exceptions cross the border: both sides are built by one compiler.
struct Plugin {
  int version;           // kPluginVersion
  const char* compiler;  // __VERSION__

  /// Throws Error{kDevice} in the driver's words where there are none to be had.
  std::vector<PluginDevice> (*devices)();
  /// `index` of devices(). Throws Error{kDevice, kOutOfMemory}.
  std::unique_ptr<Backend> (*make_backend)(int index);
  int64_t (*scratch_bytes)(const ScratchShape& shape);
};

/// The one function of a plug-in: `extern "C" const Plugin* minicpm_plugin()`.
constexpr char kPluginFunction[] = "minicpm_plugin";

/// Opened once and never closed. Throws Error{kDevice}, saying why, where the file is no plug-in of
/// this build.
const Plugin& open_plugin(const std::string& path);

/// N of "cuda:N"; -1 for devices that need no plug-in.
int plugin_device(const std::string& device);

}  // namespace minicpm
