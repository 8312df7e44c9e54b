#include "native/binding/read.h"

#include <cmath>

#include "native/binding/value.h"

namespace minicpm {

using namespace value;

int64_t read_integer(const Napi::Value& value, const std::string& name, int64_t low, int64_t high) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  if (!(number >= static_cast<double>(low) && number <= static_cast<double>(high)) ||
      number != std::floor(number)) {
    throw_type_error(value.Env(), name,
                     "a whole number from " + std::to_string(low) + " to " + std::to_string(high));
  }
  return static_cast<int64_t>(number);
}

int64_t read_integer_field(const Napi::Value& value, const std::string& name, int64_t low,
                           int64_t high) {
  return read_integer(object(value, "options").Get(name), name, low, high);
}

std::vector<int32_t> read_tokens(const Napi::Value& value, const std::string& name,
                                 int vocab_size) {
  const auto tokens = typed_array<Napi::Int32Array>(value, name, napi_int32_array, "an Int32Array");
  std::vector<int32_t> result(tokens.Data(), tokens.Data() + tokens.ElementLength());
  for (size_t i = 0; i < result.size(); ++i) {
    if (result[i] < 0 || result[i] >= vocab_size) {
      throw Napi::RangeError::New(
          value.Env(), name + "[" + std::to_string(i) + "] is " + std::to_string(result[i]) +
                           "; the vocabulary has " + std::to_string(vocab_size) + " tokens.");
    }
  }
  return result;
}

std::vector<int32_t> read_tokens_field(const Napi::Value& value, const std::string& name,
                                       int vocab_size) {
  return read_tokens(object(value, "options").Get(name), name, vocab_size);
}

std::vector<uint32_t> read_mask(const Napi::Value& value, int vocab_size) {
  if (value.IsUndefined()) return {};
  const auto words = static_cast<size_t>((vocab_size + 31) / 32);
  const std::string expected = "a Uint32Array of " + std::to_string(words) + " words";
  const auto mask =
      typed_array<Napi::Uint32Array>(value, "mask", napi_uint32_array, expected.c_str());
  if (mask.ElementLength() != words) throw_type_error(value.Env(), "mask", expected);
  return {mask.Data(), mask.Data() + words};
}

std::string read_text(const Napi::Value& value, const std::string& name) {
  if (value.IsUndefined()) return "";
  if (!value.IsString()) throw_type_error(value.Env(), name, "a string");
  return value.As<Napi::String>().Utf8Value();
}

SamplingOptions read_sampling(const Napi::Value& value, int vocab_size) {
  const Napi::Object from = object(value, "sampling");
  const auto real = [&](const char* name) { return static_cast<float>(number(from, name)); };
  SamplingOptions options{
      .temperature = real("temperature"),
      .top_k = integer(from, "topK", 0, kMaxInt),
      .top_p = real("topP"),
      .min_p = real("minP"),
      .repetition_penalty = real("repetitionPenalty"),
      .presence_penalty = real("presencePenalty"),
      .frequency_penalty = real("frequencyPenalty"),
      .logprobs = integer(from, "logprobs", -1, 20),
  };
  const Napi::Value seed = from.Get("seed");
  bool lossless = false;
  if (seed.IsBigInt()) options.seed = seed.As<Napi::BigInt>().Uint64Value(&lossless);
  if (!lossless) throw_type_error(from.Env(), "seed", "a bigint of 64 bits");
  const std::vector<int32_t> tokens = read_tokens(from.Get("biasTokens"), "biasTokens", vocab_size);
  const auto biases = typed_array<Napi::Float32Array>(from.Get("biases"), "biases",
                                                      napi_float32_array, "a Float32Array");
  if (tokens.size() != biases.ElementLength()) {
    throw_type_error(from.Env(), "biases", "as long as biasTokens");
  }
  for (size_t i = 0; i < tokens.size(); ++i) options.biases.push_back({tokens[i], biases[i]});
  return options;
}

}  // namespace minicpm
