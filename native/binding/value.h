// JavaScript values as C++ ones. A wrong one throws a TypeError that names it.
#pragma once

#include <napi.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace minicpm::value {

constexpr int64_t kMaxInt = std::numeric_limits<int32_t>::max();

[[noreturn]] void throw_type_error(Napi::Env env, const std::string& name,
                                   const std::string& expected);
Napi::Object object(const Napi::Value& value, const std::string& name);
double number(const Napi::Object& from, const char* name);
int integer(const Napi::Object& from, const char* name, int64_t low, int64_t high);
std::string string(const Napi::Object& from, const char* name);
Napi::Array array(const Napi::Object& from, const char* name);
std::vector<float> floats(const Napi::Object& from, const char* name, size_t count);

/// The second of two texts rather than the first.
bool is_second(const Napi::Object& from, const char* name, const char* first, const char* second);

template <typename Array>
Array typed_array(const Napi::Value& value, const std::string& name, napi_typedarray_type type,
                  const char* expected) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type) {
    throw_type_error(value.Env(), name, expected);
  }
  return value.As<Array>();
}

}  // namespace minicpm::value
