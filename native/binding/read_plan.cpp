// Reads a model's plan, and parts of one.
#include <algorithm>
#include <utility>

#include "kernels/packed.h"
#include "native/backend/plugin.h"
#include "native/binding/read.h"
#include "native/binding/value.h"

namespace minicpm {

using namespace value;

namespace {

LongRope read_long_rope(const Napi::Object& from, int head_dim) {
  const auto half = static_cast<size_t>(head_dim / 2);
  return {
      .short_factor = floats(from, "shortFactor", half),
      .long_factor = floats(from, "longFactor", half),
      .original_length = integer(from, "originalLength", 1, kMaxInt),
      .magnitude = number(from, "magnitude"),
      .always_long = from.Get("alwaysLong").ToBoolean(),
  };
}

SparseRule read_sparse_rule(const Napi::Object& from) {
  return {
      .init_blocks = integer(from, "initBlocks", 0, 1 << 20),
      .local_blocks = integer(from, "localBlocks", 0, 1 << 20),
      .top_k = integer(from, "topK", 0, 1 << 20),
      .dense_len = integer(from, "denseLength", 0, kMaxInt),
      .v41 = is_second(from, "generation", "v4.0", "v4.1"),
      .coarse = is_second(from, "normalizer", "exact", "coarse"),
  };
}

Config read_config(const Napi::Object& from) {
  Config config{
      .vocab_size = integer(from, "vocabSize", 1, kMaxInt / 4),
      .hidden_size = integer(from, "hiddenSize", 1, 1 << 20),
      .intermediate_size = integer(from, "intermediateSize", 1, 1 << 20),
      .layers = integer(from, "layers", 1, 4096),
      .heads = integer(from, "heads", 1, 4096),
      .kv_heads = integer(from, "kvHeads", 1, 4096),
      .head_dim = integer(from, "headDim", 2, 4096),
      .rms_norm_eps = static_cast<float>(number(from, "rmsNormEps")),
      .embed_scale = static_cast<float>(number(from, "embedScale")),
      .residual_scale = static_cast<float>(number(from, "residualScale")),
      .logit_scale = static_cast<float>(number(from, "logitScale")),
      .rope_theta = number(from, "ropeTheta"),
  };
  const Napi::Value rope = from.Get("longRope");
  if (!rope.IsUndefined())
    config.long_rope = read_long_rope(object(rope, "longRope"), config.head_dim);
  const Napi::Value sparse = from.Get("sparse");
  if (!sparse.IsUndefined()) config.sparse = read_sparse_rule(object(sparse, "sparse"));
  return config;
}

DType read_kv_type(const Napi::Object& from) {
  const std::string name = string(from, "kvType");
  if (name == "f32") return DType::f32;
  if (name == "f16") return DType::f16;
  if (name == "int8") return DType::i8;
  throw_type_error(from.Env(), "kvType", "f32, f16 or int8");
}

/// As plans name them.
constexpr std::pair<StoredType, const char*> kStoredTypes[] = {
    {StoredType::f32, "F32"},     {StoredType::f16, "F16"},         {StoredType::bf16, "BF16"},
    {StoredType::q4_0, "Q4_0"},   {StoredType::q4_1, "Q4_1"},       {StoredType::q5_0, "Q5_0"},
    {StoredType::q5_1, "Q5_1"},   {StoredType::q8_0, "Q8_0"},       {StoredType::q4_k, "Q4_K"},
    {StoredType::q5_k, "Q5_K"},   {StoredType::q6_k, "Q6_K"},       {StoredType::tq1_0, "TQ1_0"},
    {StoredType::tq2_0, "TQ2_0"}, {StoredType::gptq4, "GPTQ4"},     {StoredType::gptq8, "GPTQ8"},
    {StoredType::awq4, "AWQ4"},   {StoredType::marlin4, "MARLIN4"}, {StoredType::w8, "W8"},
    {StoredType::w4, "W4"},       {StoredType::w2, "W2"},
};

StoredType read_stored_type(const Napi::Object& from) {
  const std::string name = string(from, "dtype");
  std::string names;
  for (const auto& [type, type_name] : kStoredTypes) {
    if (name == type_name) return type;
    names += (names.empty() ? "" : " or ") + std::string(type_name);
  }
  throw_type_error(from.Env(), "dtype", names);
}

int read_group(const Napi::Object& from, const char* name = "group") {
  const int group = integer(from, name, 32, 128);
  if (group % 32 != 0 || group == 96) throw_type_error(from.Env(), name, "32, 64 or 128");
  return group;
}

TensorPlace read_place(const Napi::Value& value, const char* name, int64_t files) {
  const Napi::Object from = object(value, name);
  return {integer(from, "file", 0, files - 1),
          static_cast<size_t>(read_integer_field(from, "offset", 0, int64_t{1} << 53))};
}

ArrayParts read_array_parts(const Napi::Object& from, const WeightSource& source, int64_t files) {
  ArrayParts parts{
      .rows = read_integer_field(from, "rows", source.rows, kMaxInt),
      .first_row = read_integer_field(from, "firstRow", 0, kMaxInt),
      .group = read_integer_field(from, "group", kPackedColumns, kMaxInt),
      .symmetric = from.Get("symmetric").ToBoolean(),
      .scales = read_place(from.Get("scales"), "scales", files),
      .bf16_scales = from.Get("bf16Scales").ToBoolean(),
  };
  const Napi::Value zeros = from.Get("zeroPoints");
  if (!zeros.IsUndefined()) {
    parts.zeros = read_place(zeros, "zeroPoints", files);
    parts.added_to_zeros = integer(object(zeros, "zeroPoints"), "added", 0, 1);
  } else if (!parts.symmetric) {
    throw_type_error(from.Env(), "zeroPoints", "there where a matrix is not symmetric");
  }
  const Napi::Value groups = from.Get("columnGroups");
  if (!groups.IsUndefined()) parts.column_groups = read_place(groups, "columnGroups", files);
  return parts;
}

WeightSource read_weight(const std::string& name, const Napi::Object& from, size_t files) {
  const Napi::Array shape = array(from, "shape");
  const bool is_vector = shape.Length() == 1;
  if (!is_vector && shape.Length() != 2)
    throw_type_error(from.Env(), name + " shape", "of rank 1 or 2");
  const auto size = [&](uint32_t i) {
    return read_integer(shape.Get(i), name + " shape", 1, kMaxInt);
  };
  WeightSource source{
      .name = name,
      .file = integer(from, "file", 0, static_cast<int64_t>(files) - 1),
      .offset = static_cast<size_t>(
          read_integer(from.Get("offset"), name + " offset", 0, int64_t{1} << 53)),
      .type = read_stored_type(from),
      .rows = is_vector ? 1 : size(0),
      .columns = is_vector ? size(0) : size(1),
  };
  if (from.Has("interleavedHeads") && !from.Get("interleavedHeads").IsUndefined()) {
    source.interleaved_heads = integer(from, "interleavedHeads", 1, 4096);
    if (source.rows % (2 * source.interleaved_heads) != 0) {
      throw_type_error(from.Env(), name + " interleavedHeads", "a divisor of half its rows");
    }
  }
  if (is_packed(source.type)) source.group = read_group(from);
  if (is_in_arrays(source.type)) {
    source.arrays =
        read_array_parts(object(from.Get("arrays"), "arrays"), source, static_cast<int64_t>(files));
  }
  if (from.Has("ternary") && !from.Get("ternary").IsUndefined()) {
    source.ternary_group = read_group(from, "ternary");
    if (is_quantized(source.type) || is_in_arrays(source.type) || is_packed(source.type)) {
      throw_type_error(from.Env(), name + " dtype", "F32, F16 or BF16 where it is ternary");
    }
  }
  const bool in_our_order = is_packed(source.type) || is_in_arrays(source.type);
  if (in_our_order && (source.is_vector() || source.interleaved_heads > 0)) {
    throw_type_error(from.Env(), name, "a matrix in our order of rows where it is packed");
  }
  if (source.ternary_group > 0 && source.is_vector()) {
    throw_type_error(from.Env(), name, "a matrix where it is ternary");
  }
  return source;
}

DType read_packed_format(const Napi::Object& from) {
  const std::string name = string(from, "format");
  for (const DType format : {DType::w8, DType::w4, DType::w2}) {
    if (name == name_of(format)) return format;
  }
  throw_type_error(from.Env(), "format", "w8, w4 or w2");
}

}  // namespace

Packing read_packing(const Napi::Value& value) {
  if (value.IsUndefined()) return {};
  const Napi::Object from = object(value, "pack");
  return {read_packed_format(from), read_group(from)};
}

WeightFile read_weight_file(const Napi::Value& value) {
  const Napi::Object file = object(value, "file");
  return {string(file, "path"),
          static_cast<size_t>(read_integer(file.Get("bytes"), "bytes", 0, int64_t{1} << 53))};
}

WeightSource read_weight_source(const Napi::Value& value) {
  WeightSource source = read_weight("weight", object(value, "weight"), 1);
  if (source.is_vector()) throw_type_error(value.Env(), "weight shape", "of rank 2");
  if (is_in_arrays(source.type)) {
    throw_type_error(value.Env(), "weight dtype", "none that is in arrays");
  }
  return source;
}

WeightSource read_plain_source(const Napi::Value& value) {
  WeightSource source = read_weight_source(value);
  if (is_packed(source.type)) throw_type_error(value.Env(), "weight dtype", "none that is packed");
  return source;
}

ModelPlan read_model_plan(const Napi::Value& value) {
  const Napi::Object from = object(value, "plan");
  ModelPlan plan{
      .config = read_config(object(from.Get("config"), "config")),
      .device = string(from, "device"),
      .plugin = read_text(from.Get("plugin"), "plugin"),
      .threads = integer(from, "threads", 0, 1024),
      .kv_type = read_kv_type(from),
      .isa = string(from, "isa"),
      .packing = read_packing(from.Get("pack")),
      .activations =
          read_text(from.Get("activations"), "activations") == "int8" ? DType::a8 : DType::f32,
      .fingerprint = read_text(from.Get("fingerprint"), "fingerprint"),
      .cache_bytes = read_integer(from.Get("cacheBytes"), "cacheBytes", 0, int64_t{1} << 53),
  };
  if (plan.plugin.empty() != (plugin_device(plan.device) < 0)) {
    throw_type_error(from.Env(), "plugin", "there with the device of a plug-in, and only then");
  }
  const Napi::Value directory = from.Get("directory");
  if (!directory.IsUndefined()) {
    plan.directory = {string(object(directory, "directory"), "path"),
                      read_integer_field(directory, "bytes", 0, int64_t{1} << 53)};
  }
  const Napi::Value spill = from.Get("spill");
  if (!spill.IsUndefined()) {
    plan.spill = {string(object(spill, "spill"), "path"),
                  read_integer_field(spill, "bytes", 1, int64_t{1} << 53)};
  }
  const Napi::Array files = array(from, "files");
  for (uint32_t i = 0; i < files.Length(); ++i) {
    plan.files.push_back(read_weight_file(files.Get(i)));
  }
  const Napi::Object weights = object(from.Get("weights"), "weights");
  const Napi::Array names = weights.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); ++i) {
    const std::string name = names.Get(i).ToString();
    plan.weights.push_back(read_weight(name, object(weights.Get(name), name), plan.files.size()));
  }
  const auto any_packed = [&](const WeightSource& source) {
    return plan.packing.packs(source) || plan.packing.repacks(source) || is_packed(source.type);
  };
  if (plan.activations == DType::a8 && !std::ranges::any_of(plan.weights, any_packed)) {
    throw_type_error(from.Env(), "activations", "f32 where no weights are packed");
  }
  return plan;
}

}  // namespace minicpm
