// Reads arguments. A wrong one throws a TypeError that names it.
#pragma once

#include <napi.h>

#include <string>
#include <vector>

#include "native/engine/model.h"
#include "native/engine/work.h"

namespace minicpm {

ModelPlan read_model_plan(const Napi::Value& value);
/// Undefined, which packs nothing, or { format, group }.
Packing read_packing(const Napi::Value& value);
/// { path, bytes }.
WeightFile read_weight_file(const Napi::Value& value);
/// A WeightPlan of rank 2 in a file of its own.
WeightSource read_weight_source(const Napi::Value& value);
/// One that is not packed.
WeightSource read_plain_source(const Napi::Value& value);
SamplingOptions read_sampling(const Napi::Value& value, int vocab_size);

/// A whole number in [low, high].
int64_t read_integer(const Napi::Value& value, const std::string& name, int64_t low, int64_t high);
/// Field `name` of an object, likewise.
int64_t read_integer_field(const Napi::Value& value, const std::string& name, int64_t low,
                           int64_t high);

/// An Int32Array whose ids are in [0, vocab_size).
std::vector<int32_t> read_tokens(const Napi::Value& value, const std::string& name, int vocab_size);
std::vector<int32_t> read_tokens_field(const Napi::Value& value, const std::string& name,
                                       int vocab_size);

/// Undefined, which is "", or a string.
std::string read_text(const Napi::Value& value, const std::string& name);

/// Undefined, or a Uint32Array of one bit a token.
std::vector<uint32_t> read_mask(const Napi::Value& value, int vocab_size);

}  // namespace minicpm
