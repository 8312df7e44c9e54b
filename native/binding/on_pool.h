// Work on a thread of libuv's pool, and its promise.
#pragma once

#include <napi.h>

#include <functional>

#include "native/backend/buffer.h"

namespace minicpm {

/// What a promise resolves with, made on the JavaScript thread.
using Resolve = std::function<Napi::Value(Napi::Env)>;

/// Runs `work` off the JavaScript thread. Its errors become those of JavaScript.
Napi::Value on_pool(Napi::Env env, std::function<Resolve()> work);

/// A Uint8Array of the bytes.
Resolve bytes_of(Buffer buffer);

}  // namespace minicpm
