#include "native/binding/pack_binding.h"

#include <string>
#include <utility>

#include "native/binding/on_pool.h"
#include "native/binding/read.h"
#include "native/binding/value.h"

namespace minicpm {
namespace {

/// { firstRow, rows } of a matrix.
RowRange read_row_range(const Napi::Value& value, const WeightSource& source) {
  const int64_t first = read_integer_field(value, "firstRow", 0, source.rows - 1);
  return {first, read_integer_field(value, "rows", 1, source.rows - first)};
}

DType read_plain_type(const Napi::Value& value) {
  const std::string name = read_text(value, "type");
  if (name == "BF16") return DType::bf16;
  if (name == "F16") return DType::f16;
  if (name == "F32") return DType::f32;
  value::throw_type_error(value.Env(), "type", "BF16, F16 or F32");
}

}  // namespace

// packWeight(file, weight, { format, group, firstRow, rows, threads }): Promise<Uint8Array>
Napi::Value pack_weight_rows(const Napi::CallbackInfo& info) {
  WeightSource source = read_plain_source(info[1]);
  const RowRange rows = read_row_range(info[2], source);
  if (rows.first % 16 != 0) {
    throw Napi::TypeError::New(info.Env(), "firstRow must be a multiple of 16.");
  }
  const auto threads = static_cast<int>(read_integer_field(info[2], "threads", 1, 1024));
  return on_pool(info.Env(), [file = read_weight_file(info[0]), source = std::move(source),
                              packing = read_packing(info[2]), rows, threads] {
    const auto backend = make_cpu_backend(threads, "");
    return bytes_of(pack_rows(file, source, packing, rows, *backend));
  });
}

// readWeight(file, weight, { type, firstRow, rows }): Promise<Uint8Array>
Napi::Value read_weight_rows(const Napi::CallbackInfo& info) {
  WeightSource source = read_weight_source(info[1]);
  const RowRange rows = read_row_range(info[2], source);
  const DType type = read_plain_type(info[2].As<Napi::Object>().Get("type"));
  return on_pool(info.Env(), [file = read_weight_file(info[0]), source = std::move(source), rows,
                              type] { return bytes_of(read_rows_as(file, source, rows, type)); });
}

}  // namespace minicpm
