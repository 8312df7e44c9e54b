// op_bench [--smoke]: times CUDA's kernels on this machine's GPU at the shapes of MiniCPM4-0.5B and
// 8B, beside its limits; a table in Markdown. --smoke: small shapes, to see that it runs.
#include <cstdio>
#include <cstring>
#include <vector>

#include "bench/cuda/device.h"
#include "kernels/cuda/ops.h"
#include "kernels/error.h"
#include "kernels/packed.h"
#include "native/cuda/device.h"

namespace minicpm::bench {

namespace {

bool smoke = false;
DeviceLimits limits;  // bytes: those of copies, which every kernel can reach

/// Made-up numbers: as f16 around 0.01, as integers any.
std::vector<uint16_t> some_halves(size_t bytes) {
  std::vector<uint16_t> halves(bytes / 2);
  for (size_t i = 0; i < halves.size(); i++) {
    halves[i] = static_cast<uint16_t>(0x2000 | (i * 40503 >> 3 & 0x83ff));
  }
  return halves;
}

DeviceMemory filled(size_t bytes) {
  return DeviceMemory(some_halves(bytes).data(), bytes);
}

/// A line of the table: what binds the op, by bytes and operations, and how near it comes.
void report(const std::string& name, double bytes, double operations, double peak,
            const std::function<void(int)>& run) {
  const double seconds = seconds_of(run, smoke ? 1 : 50);
  if (seconds == 0) {  // what stands in for a GPU has no clock
    std::printf("| %-44s | - | - | - | - |\n", name.c_str());
    return;
  }
  const double by_memory = bytes / limits.bytes, by_arithmetic = operations / peak;
  const bool memory = by_memory >= by_arithmetic;
  std::printf("| %-44s | %9.1f | %7.1f | %6.2f | %3.0f %% of %s |\n", name.c_str(), 1e6 * seconds,
              bytes / seconds / 1e9, operations / seconds / 1e12,
              100 * (memory ? by_memory : by_arithmetic) / seconds,
              memory ? "copying" : "arithmetic");
  std::fflush(stdout);
}

void bench_linear(DType format, bool rounded, int64_t tokens, int64_t out, int64_t in) {
  const bool packed = is_packed(format);
  Tensor weight{nullptr, format, out, in, packed ? 128 : 0};
  // Other weights each time, more than the caches hold.
  const size_t each = (weight.bytes() + 255) & ~size_t{255};
  const size_t count = smoke ? 1 : std::max<size_t>(1, (size_t{512} << 20) / each);
  const DeviceMemory weights = filled(each * count);
  const Tensor floats{nullptr, DType::f32, tokens, in};
  const DeviceMemory numbers = filled(floats.bytes());
  const Tensor given{numbers.as<void>(), DType::f32, tokens, in};
  const Tensor of_int8{nullptr, DType::a8, tokens, in};
  const DeviceMemory integers(of_int8.bytes());
  Tensor x = given;
  if (rounded) {
    x = of_int8, x.data = integers.as<void>();
    cuda::quantize_rows({.y = x, .x = given, .up = {}}, nullptr);
  }
  const DeviceMemory y(static_cast<size_t>(tokens * out) * sizeof(float));
  const std::string name = std::string("linear ") + name_of(format) + (rounded ? " a8" : " f32") +
                           ", " + std::to_string(tokens) + " rows, " + std::to_string(out) + " x " +
                           std::to_string(in);
  const auto operations = 2.0 * static_cast<double>(tokens * out * in);
  const auto bytes = static_cast<double>(weight.bytes() + x.bytes() +
                                         static_cast<size_t>(tokens * out) * sizeof(float));
  report(name, bytes, operations, rounded ? limits.int8_ops : limits.flop, [&](int i) {
    weight.data = weights.as<std::byte>() + static_cast<size_t>(i) % count * each;
    cuda::linear({.y = {y.as<void>(), DType::f32, tokens, out},
                  .x = x,
                  .weight = weight,
                  .residual = {},
                  .scale = 1},
                 nullptr);
  });
}

void bench_attention(const char* model, int kv_heads, int group, int head_dim, int depth,
                     int rows) {
  const KvLayout layout{DType::f16, 1, kv_heads, head_dim, false};
  const int64_t all = depth + rows, blocks = (all + kBlockTokens - 1) / kBlockTokens;
  const DeviceMemory memory = filled(static_cast<size_t>(blocks) * layout.block_bytes());
  std::vector<std::byte*> table;
  for (int64_t i = 0; i < blocks; i++) {
    table.push_back(memory.as<std::byte>() + static_cast<size_t>(i) * layout.block_bytes());
  }
  const DeviceMemory on_device(table.data(), table.size() * sizeof(table[0]));
  std::vector<cuda::BatchRow> places;
  for (int i = 0; i < rows; i++) places.push_back({on_device.as<std::byte*>(), depth + i});
  const DeviceMemory batch_rows(places.data(), places.size() * sizeof(places[0]));
  const std::vector<Segment> segments{{0, rows, depth, table.data()}};
  const int64_t columns = int64_t{kv_heads} * group * head_dim;
  const DeviceMemory q = filled(static_cast<size_t>(rows * columns) * 4);
  const DeviceMemory y(static_cast<size_t>(rows * columns) * 4);
  const Attention op{.y = {y.as<void>(), DType::f32, rows, columns},
                     .q = {q.as<void>(), DType::f32, rows, columns},
                     .segments = segments,
                     .layout = layout,
                     .layer = 0,
                     .scale = 0.1f};
  const DeviceMemory scratch(cuda::attention_scratch(op, all) * sizeof(float));
  const double keys = static_cast<double>(rows) * (static_cast<double>(depth) + (rows + 1) / 2.0);
  report(std::string("attention ") + model + ", " + std::to_string(rows) + " rows behind " +
             std::to_string(depth),
         static_cast<double>(all) * 4.0 * kv_heads * head_dim,
         4.0 * keys * static_cast<double>(columns), limits.flop, [&](int) {
           cuda::attention(op, {batch_rows.as<cuda::BatchRow>(), rows}, all, scratch.as<float>(),
                           nullptr);
         });
}

void bench_rms_norm(int64_t tokens, int64_t hidden) {
  const size_t bytes = static_cast<size_t>(tokens * hidden) * 4;
  const DeviceMemory x = filled(bytes), weight = filled(static_cast<size_t>(hidden) * 4), y(bytes);
  report("rms_norm, " + std::to_string(tokens) + " x " + std::to_string(hidden),
         2.0 * static_cast<double>(bytes), 0, 1, [&](int) {
           cuda::rms_norm({.y = {y.as<void>(), DType::f32, tokens, hidden},
                           .x = {x.as<void>(), DType::f32, tokens, hidden},
                           .weight = {weight.as<void>(), DType::f32, 1, hidden},
                           .eps = 1e-5f},
                          nullptr);
         });
}

void bench_all() {
  const cuda::DeviceProperties properties = cuda::Device(0).properties();
  const double bytes = properties.limits.bytes;
  limits = properties.limits;
  limits.bytes = copy_bandwidth(smoke ? 1 << 16 : size_t{1} << 29);
  std::printf(
      "%s, %s: copies move %.0f GB/s of %.0f; %.1f TFLOP/s float32, %.0f TOP/s int8 by its "
      "clocks\n\n",
      properties.description.c_str(), properties.isa.c_str(), limits.bytes / 1e9, bytes / 1e9,
      limits.flop / 1e12, limits.int8_ops / 1e12);
  std::printf("| op | us | GB/s | TFLOP/s | of its limit |\n| --- | --: | --: | --: | --- |\n");
  struct Shape {
    int64_t out, in;
  };
  const std::vector<Shape> shapes =
      smoke ? std::vector<Shape>{{48, 256}}
            : std::vector<Shape>{{1024, 1024}, {8192, 1024},  {1024, 4096}, {73448, 1024},
                                 {4096, 4096}, {32768, 4096}, {4096, 16384}};
  for (const auto& [out, in] : shapes) {
    for (int64_t tokens : {1, 8, 512}) {
      const int64_t rows = smoke ? std::min<int64_t>(tokens, 20) : tokens;
      if (tokens > 8 && out > 50000) continue;  // prefill needs the last row only
      for (DType format : {DType::w4, DType::w8, DType::w2}) {
        bench_linear(format, true, rows, out, in);
      }
      if (tokens > 8) continue;  // plain kernels for few rows
      bench_linear(DType::w4, false, rows, out, in);
      bench_linear(DType::bf16, false, rows, out, in);
    }
  }
  for (int depth : {512, 8192, 32768}) {
    if (smoke && depth > 512) break;
    bench_attention("0.5B", 2, 8, 64, depth, 1);
    bench_attention("8B", 2, 16, 128, depth, 1);
  }
  bench_attention("0.5B", 2, 8, 64, 0, smoke ? 8 : 512);
  bench_attention("8B", 2, 16, 128, 0, smoke ? 8 : 512);
  for (int64_t tokens : {1, 512}) bench_rms_norm(smoke ? 2 : tokens, smoke ? 64 : 4096);
}

}  // namespace

}  // namespace minicpm::bench

int main(int count, char** words) {
  using namespace minicpm::bench;
  smoke = count > 1 && std::strcmp(words[1], "--smoke") == 0;
  try {
    bench_all();
    expect_success(cudaDeviceSynchronize(), "running");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
