#pragma once

#include <napi.h>

namespace minicpm {

/// packWeight of src/native/binding.ts: packs rows of a matrix off the JavaScript thread.
Napi::Value pack_weight_rows(const Napi::CallbackInfo& info);
Napi::Value read_weight_rows(const Napi::CallbackInfo& info);

}  // namespace minicpm
