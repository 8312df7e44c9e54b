#include "native/weights/weights.h"

#include <cstring>

#include "kernels/half.h"
#include "test/kernels/packed_arrays.h"
#include "test/kernels/test.h"
#include "test/native/tiny_model.h"

namespace minicpm::test {
namespace {

void append(std::vector<std::byte>& bytes, const void* data, size_t size) {
  bytes.resize(bytes.size() + size);
  std::memcpy(bytes.data() + bytes.size() - size, data, size);
}

void append_f16(std::vector<std::byte>& bytes, float value) {
  const uint16_t bits = f32_to_f16(value);
  append(bytes, &bits, sizeof(bits));
}

Tensor load_one(const std::vector<std::byte>& content, WeightSource source,
                std::unique_ptr<Weights>& weights) {
  const TemporaryFile file(content);
  const WeightFile files[] = {{file.path(), content.size()}};
  source.name = "w";
  weights = std::make_unique<Weights>(files, std::span(&source, 1), nullptr);
  return weights->at("w");
}

TEST("quant blocks are decoded by their formulas") {
  std::vector<std::byte> q8, q4_0, q4_1;
  append_f16(q8, 0.5f);
  append_f16(q4_0, 0.25f);
  append_f16(q4_1, 0.25f);
  append_f16(q4_1, -1.5f);
  for (int i = 0; i < 32; ++i) {
    const auto value = static_cast<int8_t>(i * 8 - 128);
    append(q8, &value, 1);
  }
  for (int i = 0; i < 16; ++i) {
    const auto nibbles = static_cast<uint8_t>(i | (15 - i) << 4);
    append(q4_0, &nibbles, 1);
    append(q4_1, &nibbles, 1);
  }
  float row[32];
  dequantize_row(StoredType::q8_0, q8.data(), 32, row);
  for (int i = 0; i < 32; ++i) CHECK(row[i] == 0.5f * static_cast<float>(i * 8 - 128));
  dequantize_row(StoredType::q4_0, q4_0.data(), 32, row);
  for (int i = 0; i < 16; ++i) {
    CHECK(row[i] == 0.25f * static_cast<float>(i - 8));
    CHECK(row[i + 16] == 0.25f * static_cast<float>(7 - i));
  }
  dequantize_row(StoredType::q4_1, q4_1.data(), 32, row);
  for (int i = 0; i < 16; ++i) {
    CHECK(row[i] == 0.25f * static_cast<float>(i) - 1.5f);
    CHECK(row[i + 16] == 0.25f * static_cast<float>(15 - i) - 1.5f);
  }
}

TEST("a float matrix is used where the file has it") {
  std::vector<std::byte> content(64 + 24);
  std::unique_ptr<Weights> weights;
  const int64_t before = buffer_bytes();
  const Tensor tensor =
      load_one(content, {.offset = 64, .type = StoredType::bf16, .rows = 3, .columns = 4}, weights);
  CHECK(tensor.dtype == DType::bf16);
  CHECK(buffer_bytes() == before);
  CHECK(os::mapped_bytes() > 0);
  weights.reset();
  CHECK(os::mapped_bytes() == 0);
}

TEST("a matrix that is not aligned to its numbers is copied, its bytes the same") {
  std::vector<std::byte> content(1);
  const float values[] = {1, -2, 3.5f, 4};
  append(content, values, sizeof(values));
  std::unique_ptr<Weights> weights;
  const Tensor tensor = load_one(content, {.offset = 1, .rows = 2, .columns = 2}, weights);
  CHECK(std::memcmp(tensor.data, values, sizeof(values)) == 0);
  CHECK(reinterpret_cast<uintptr_t>(tensor.data) % 4 == 0);
  CHECK(os::mapped_bytes() == 0);
}

TEST("interleaved rows come back in halves") {
  // 2 heads of head_dim 4: stored rows 0 1 2 3 are ours 0 2 1 3.
  std::vector<std::byte> content;
  for (float row = 0; row < 8; ++row) append(content, &row, sizeof(row));
  std::unique_ptr<Weights> weights;
  const Tensor tensor =
      load_one(content, {.rows = 8, .columns = 1, .interleaved_heads = 2}, weights);
  const float expected[] = {0, 2, 1, 3, 4, 6, 5, 7};
  CHECK(std::memcmp(tensor.data, expected, sizeof(expected)) == 0);
}

TEST("a file that is not what its header was checked against is refused by name") {
  const std::vector<std::byte> content(64);
  const TemporaryFile file(content);
  const WeightSource source{.name = "w", .rows = 4, .columns = 4};
  const WeightFile changed[] = {{file.path(), 60}};
  CHECK_THROWS(ErrorCode::kCheckpoint, Weights(changed, std::span(&source, 1), nullptr));
  const WeightFile files[] = {{file.path(), 64}};
  const WeightSource beyond{.name = "w", .offset = 32, .rows = 4, .columns = 4};
  CHECK_THROWS(ErrorCode::kCheckpoint, Weights(files, std::span(&beyond, 1), nullptr));
  const WeightFile missing[] = {{file.path() + ".gone", 64}};
  CHECK_THROWS(ErrorCode::kCheckpoint, Weights(missing, std::span(&source, 1), nullptr));
}

TEST("the memory plan is what a model and its sequences take, packed or not") {
  for (const auto& [format, quantized] :
       {std::pair{DType::f32, "none"}, {DType::w4, "none"}, {DType::f32, "."}, {DType::w4, "."}}) {
    const int64_t before = buffer_bytes() + os::mapped_bytes();
    TinyModel tiny("cpu", 2, {}, {format, 32}, format == DType::f32 ? DType::f32 : DType::a8, "",
                   quantized);
    const MemoryPlan plan = plan_memory(tiny.plan, 200, 2);
    CHECK((plan.mapped == 0) == (format != DType::f32));
    const auto a = tiny.model->create_sequence(200), b = tiny.model->create_sequence(200);
    prefill(*a, random_tokens(200, 1));
    prefill(*b, random_tokens(200, 2));
    const auto planned =
        static_cast<double>(plan.mapped + plan.weights + plan.kv + plan.activations);
    const auto taken = static_cast<double>(buffer_bytes() + os::mapped_bytes() - before);
    CHECK(std::abs(taken - planned) <= 0.05 * planned);
  }
}

TEST("a matrix packed at load has the bytes of the matrix packed from its numbers") {
  Random random(1);
  Array x(200, 96);
  x.fill(random, -1, 1);
  std::vector<std::byte> content(64);
  append(content, x.floats(), x.size() * sizeof(float));
  const TemporaryFile file(content);
  const WeightFile files[] = {{file.path(), content.size()}};
  const auto backend = make_cpu_backend(2, "");
  for (const std::string name : {"layers.0.mlp.up", "head"}) {
    const WeightSource source{.name = name, .offset = 64, .rows = 200, .columns = 96};
    PackedArray expected(name == "head" ? DType::w8 : DType::w2, 64, x);
    const Packing packing{DType::w2, 64};
    const Weights weights(files, std::span(&source, 1), nullptr, packing, backend.get());
    CHECK(same_bits(weights.at(name), expected.tensor()));
    CHECK(plan_weights(files, std::span(&source, 1), packing).converted ==
          static_cast<int64_t>(expected.bytes().size()));
    CHECK(os::mapped_bytes() == 0);
  }
}

TEST("parts of a matrix packed one by one are the matrix") {
  Random random(2);
  Array x(50, 64);
  x.fill(random, -1, 1);
  std::vector<std::byte> content;
  append(content, x.floats(), x.size() * sizeof(float));
  const TemporaryFile file(content);
  const WeightSource source{.name = "w", .rows = 50, .columns = 64};
  PackedArray expected(DType::w4, 32, x);
  const auto backend = make_cpu_backend(1, "");
  std::vector<std::byte> parts;
  for (const RowRange rows : {RowRange{0, 16}, {16, 32}, {48, 2}}) {
    const Buffer part =
        pack_rows({file.path(), content.size()}, source, {DType::w4, 32}, rows, *backend);
    append(parts, part.data(), part.size());
  }
  CHECK(parts.size() == expected.bytes().size() &&
        std::memcmp(parts.data(), expected.bytes().data(), parts.size()) == 0);
}

TEST("quantized and interleaved matrices are packed as what they load as") {
  // 8 rows of 32 numbers as Q8_0, 2 heads of head_dim 4: stored rows 0 1 2 3 are ours 0 2 1 3.
  std::vector<std::byte> content;
  for (int row = 0; row < 8; ++row) {
    append_f16(content, 0.5f);
    for (int i = 0; i < 32; ++i) {
      const auto value = static_cast<int8_t>(i == 0 ? 127 : row * 10 - i);
      append(content, &value, 1);
    }
  }
  const TemporaryFile file(content);
  const WeightFile files[] = {{file.path(), content.size()}};
  const WeightSource source{
      .name = "q", .type = StoredType::q8_0, .rows = 8, .columns = 32, .interleaved_heads = 2};
  const auto backend = make_cpu_backend(1, "");
  const Weights loaded(files, std::span(&source, 1), nullptr, {}, backend.get());
  const Weights packed(files, std::span(&source, 1), nullptr, {DType::w8, 32}, backend.get());
  for (int row = 0; row < 8; ++row) {
    const PackedRow found(packed.at("q"), row), expected(loaded.at("q"), row);
    for (int i = 0; i < 32; ++i) CHECK(found.weight(i) == expected.weight(i));
  }
}

TEST("a quantized matrix is repacked at load: its own numbers, in our order of rows") {
  Random random(4);
  const auto backend = make_cpu_backend(2, "");
  for (int i = 0; i <= static_cast<int>(QuantType::tq2_0); ++i) {
    const auto type = static_cast<StoredType>(static_cast<int>(StoredType::q4_0) + i);
    // 40 rows of 768 numbers, 2 heads of head_dim 20: stored row 1 is ours 10.
    const size_t row_bytes = stored_row_bytes(type, 768);
    std::vector<std::byte> content(24 + 40 * row_bytes);
    for (std::byte& byte : content) byte = static_cast<std::byte>(random.below(256) & 0xbb);
    const TemporaryFile file(content);
    const WeightFile files[] = {{file.path(), content.size()}};
    const WeightSource source{.name = "q",
                              .offset = 24,
                              .type = type,
                              .rows = 40,
                              .columns = 768,
                              .interleaved_heads = 2};
    const Weights weights(files, std::span(&source, 1), nullptr, {}, backend.get());
    const Tensor found = weights.at("q");
    CHECK(is_packed(found.dtype) && os::mapped_bytes() == 0);
    CHECK(plan_weights(files, std::span(&source, 1)).converted ==
          static_cast<int64_t>(found.bytes()));
    float row[768];
    for (const auto& [stored, ours] : {std::pair{0, 0}, {1, 10}, {2, 1}, {39, 39}, {21, 30}}) {
      dequantize_row(type, content.data() + 24 + static_cast<size_t>(stored) * row_bytes, 768, row);
      const PackedRow packed(found, ours);
      for (int column = 0; column < 768; ++column) CHECK(packed.weight(column) == row[column]);
    }
  }
}

TEST("a quantized matrix whose rows are no whole blocks, or end beyond the file, is refused") {
  const std::vector<std::byte> content(1000);
  const TemporaryFile file(content);
  const WeightFile files[] = {{file.path(), content.size()}};
  const auto backend = make_cpu_backend(1, "");
  const WeightSource odd{.name = "w", .type = StoredType::q4_k, .rows = 2, .columns = 288};
  WeightSource cut{.name = "w", .type = StoredType::q4_k, .rows = 7, .columns = 256};
  for (const WeightSource& source : {odd, cut}) {
    CHECK_THROWS(ErrorCode::kCheckpoint,
                 Weights(files, std::span(&source, 1), nullptr, {}, backend.get()));
  }
  cut.rows = 6;
  const Weights whole(files, std::span(&cut, 1), nullptr, {}, backend.get());
  CHECK(whole.at("w").rows == 6);
  CHECK_THROWS(ErrorCode::kState, Weights(
                                      files, std::span(&cut, 1),
                                      [](int64_t, int64_t) { return false; }, {}, backend.get()));
}

TEST(
    "a ternary matrix becomes w2 whatever packing is asked for, and one that is not stays mapped") {
  std::vector<uint16_t> numbers(18 * 64);
  for (size_t i = 0; i < numbers.size(); ++i) {
    const uint16_t kTernary[] = {0x3d00, 0, 0xbd00};
    numbers[i] = kTernary[i * 7 % 3];
  }
  const auto load_with = [&](uint16_t last, const Packing& packing, const auto& use) {
    numbers.back() = last;
    std::vector<std::byte> content(64);
    append(content, numbers.data(), numbers.size() * 2);
    const TemporaryFile file(content);
    const WeightFile files[] = {{file.path(), content.size()}};
    const WeightSource source{.name = "w",
                              .offset = 64,
                              .type = StoredType::bf16,
                              .rows = 18,
                              .columns = 64,
                              .ternary_group = 64};
    const auto backend = make_cpu_backend(2, "");
    const Weights weights(files, std::span(&source, 1), nullptr, packing, backend.get());
    CHECK(plan_weights(files, std::span(&source, 1), packing).converted ==
          static_cast<int64_t>(packed_bytes(DType::w2, 18, 64, 64)));
    use(weights.at("w"));
  };
  for (const Packing& packing : {Packing{}, Packing{DType::w8, 32}}) {
    load_with(0xbd00, packing, [&](const Tensor& w) {
      CHECK(w.dtype == DType::w2 && w.group == 64 && os::mapped_bytes() == 0);
      for (int i = 0; i < 64; ++i) {
        CHECK(PackedRow(w, 17).weight(i) == bf16_to_f32(numbers[static_cast<size_t>(17 * 64 + i)]));
      }
    });
    load_with(0xbd01, packing, [&](const Tensor& w) {
      CHECK(w.dtype == DType::bf16 && w.rows == 18 && os::mapped_bytes() > 0);
      CHECK(w.as<uint16_t>()[17 * 64 + 63] == 0xbd01);
    });
  }
}

TEST("a matrix in arrays that are not inside their files is refused, naming the array") {
  std::vector<std::byte> integers(16 * 64 / 2), scales(2 * 16 * 2), zeros(2 * 16 / 2);
  const TemporaryFile first(integers), second(scales), third(zeros);
  const WeightFile files[] = {{first.path(), integers.size()},
                              {second.path(), scales.size()},
                              {third.path(), zeros.size()}};
  WeightSource source{.name = "w", .type = StoredType::gptq4, .rows = 16, .columns = 64};
  source.arrays = {.rows = 16, .group = 32, .scales = {1, 0}, .zeros = TensorPlace{2, 0}};
  const auto backend = make_cpu_backend(1, "");
  const auto refused = [&](const WeightSource& wrong) {
    const auto error =
        error_of([&] { Weights(files, std::span(&wrong, 1), nullptr, {}, backend.get()); });
    return error ? error->fields.at(1) : std::string("nothing");
  };
  CHECK(refused(source) == "nothing");
  WeightSource wrong = source;
  wrong.rows = wrong.arrays.rows = 32;
  CHECK(refused(wrong) == "w");
  wrong = source;
  wrong.arrays.scales.offset = 2;
  CHECK(refused(wrong) == "w, scales");
  wrong = source;
  wrong.arrays.zeros->offset = 1;
  CHECK(refused(wrong) == "w, zero points");
  wrong = source;
  wrong.arrays.rows = 32;
  CHECK(refused(wrong) == "w, integers");
}

TEST("a matrix that is packed in its file is used where it lies, and nothing is packed again") {
  Random random(3);
  Array x(20, 96);
  x.fill(random, -1, 1);
  PackedArray expected(DType::w2, 64, x);
  std::vector<std::byte> content(64);
  append(content, expected.bytes().data(), expected.bytes().size());
  const TemporaryFile file(content);
  const WeightFile files[] = {{file.path(), content.size()}};
  const WeightSource source{
      .name = "w", .offset = 64, .type = StoredType::w2, .rows = 20, .columns = 96, .group = 64};
  int64_t told = 0;
  const auto progress = [&](int64_t done, int64_t total) {
    told = done;
    return done <= total;
  };
  const Weights weights(files, std::span(&source, 1), progress, {DType::w2, 64});
  CHECK(told == static_cast<int64_t>(expected.bytes().size()));
  CHECK(std::memcmp(weights.at("w").data, expected.bytes().data(), expected.bytes().size()) == 0);
  CHECK(os::mapped_bytes() == static_cast<int64_t>(content.size()));
  const WeightBytes plan = plan_weights(files, std::span(&source, 1), {DType::w2, 64});
  CHECK(plan.mapped == static_cast<int64_t>(content.size()) && plan.converted == 0);

  WeightSource wrong = source;
  wrong.offset = 32;
  CHECK_THROWS(ErrorCode::kCheckpoint, Weights(files, std::span(&wrong, 1), nullptr));
  wrong.offset = 128;
  CHECK_THROWS(ErrorCode::kCheckpoint, Weights(files, std::span(&wrong, 1), nullptr));
}

TEST("a matrix whose columns are no multiple of 32 is not packed, and loading can be stopped") {
  std::vector<std::byte> content(4 * 48 * 64);
  const TemporaryFile file(content);
  const WeightFile files[] = {{file.path(), content.size()}};
  const auto backend = make_cpu_backend(1, "");
  const WeightSource odd{.name = "w", .rows = 64, .columns = 48};
  CHECK_THROWS(ErrorCode::kShape,
               Weights(files, std::span(&odd, 1), nullptr, {DType::w4, 32}, backend.get()));
  const WeightSource even{.name = "w", .rows = 96, .columns = 32};
  CHECK_THROWS(ErrorCode::kState,
               Weights(
                   files, std::span(&even, 1), [](int64_t, int64_t) { return false; },
                   {DType::w4, 32}, backend.get()));
  CHECK(os::mapped_bytes() == 0);
}

}  // namespace
}  // namespace minicpm::test
