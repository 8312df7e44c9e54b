#include "native/backend/plugin.h"

#include <charconv>
#include <string_view>

#include "kernels/error.h"
#include "native/os/os.h"

namespace minicpm {

const Plugin& open_plugin(const std::string& path) {
  const auto refuse = [&](const std::string& why) {
    throw Error(ErrorCode::kDevice, path + " cannot be used: " + why);
  };
  std::string why;
  void* function = os::find_in_library(path, kPluginFunction, why);
  if (function == nullptr) {
    throw Error(ErrorCode::kDevice, "The plug-in cannot be opened: " + why + ".");
  }
  const Plugin* plugin = reinterpret_cast<const Plugin* (*)()>(function)();
  if (plugin->version != kPluginVersion) {
    refuse("it is of version " + std::to_string(plugin->version) + ", the addon wants " +
           std::to_string(kPluginVersion) + ". Build both from the same sources.");
  }
  if (std::string_view(plugin->compiler) != __VERSION__) {
    refuse(std::string("it is built by another compiler (") + plugin->compiler +
           ") than the addon (" + __VERSION__ + "). Build both with one.");
  }
  return *plugin;
}

int plugin_device(const std::string& device) {
  constexpr std::string_view kPrefix = "cuda:";
  if (!device.starts_with(kPrefix)) return -1;
  int index = -1;
  const char *first = device.data() + kPrefix.size(), *last = device.data() + device.size();
  const auto [end, error] = std::from_chars(first, last, index);
  return error == std::errc() && end == last ? index : -1;
}

}  // namespace minicpm
