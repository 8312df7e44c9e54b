#include "native/binding/value.h"

#include "native/binding/read.h"

namespace minicpm::value {

void throw_type_error(Napi::Env env, const std::string& name, const std::string& expected) {
  throw Napi::TypeError::New(env, name + " must be " + expected + ".");
}

Napi::Object object(const Napi::Value& value, const std::string& name) {
  if (!value.IsObject()) throw_type_error(value.Env(), name, "an object");
  return value.As<Napi::Object>();
}

double number(const Napi::Object& from, const char* name) {
  const Napi::Value value = from.Get(name);
  if (!value.IsNumber()) throw_type_error(from.Env(), name, "a number");
  return value.As<Napi::Number>().DoubleValue();
}

int integer(const Napi::Object& from, const char* name, int64_t low, int64_t high) {
  return static_cast<int>(read_integer(from.Get(name), name, low, high));
}

std::string string(const Napi::Object& from, const char* name) {
  const Napi::Value value = from.Get(name);
  if (!value.IsString()) throw_type_error(from.Env(), name, "a string");
  return value.As<Napi::String>().Utf8Value();
}

Napi::Array array(const Napi::Object& from, const char* name) {
  const Napi::Value value = from.Get(name);
  if (!value.IsArray()) throw_type_error(from.Env(), name, "an array");
  return value.As<Napi::Array>();
}

std::vector<float> floats(const Napi::Object& from, const char* name, size_t count) {
  const Napi::Array values = array(from, name);
  if (values.Length() != count) {
    throw_type_error(from.Env(), name, "an array of " + std::to_string(count) + " numbers");
  }
  std::vector<float> result;
  for (uint32_t i = 0; i < values.Length(); ++i) {
    result.push_back(values.Get(i).ToNumber().FloatValue());
  }
  return result;
}

bool is_second(const Napi::Object& from, const char* name, const char* first, const char* second) {
  const std::string text = string(from, name);
  if (text != first && text != second) {
    throw_type_error(from.Env(), name, std::string(first) + " or " + second);
  }
  return text == second;
}

}  // namespace minicpm::value
