#pragma once

#include <napi.h>

namespace minicpm {

/// probe({ threads, isa, bytes, seconds }): Promise<MachineLimits>, off the JavaScript thread.
Napi::Value probe(const Napi::CallbackInfo& info);

}  // namespace minicpm
