// Limits on memory traffic, counted: what decoding reads, weights, keys and values, is read once,
// in whole sectors and by 16 bytes a lane.
#include <cstdio>

#include "test/cuda/device.h"
#include "test/ptx/counters.h"
#include "test/ptx/memory.h"

namespace minicpm::test {

namespace {

constexpr double kMostSectors = 1.1;    // of those that the operand has
constexpr double kLeastVectors = 0.95;  // of the bytes loaded

/// Counts while it lives.
class Counting {
 public:
  Counting() : before_(std::exchange(ptx::counting, true)) {}
  ~Counting() { ptx::counting = before_; }

 private:
  const bool before_;
};

/// Checks what was loaded of an operand at `address` of the device, all `bytes` of which are
/// needed.
void check_traffic(const char* what, const void* address, size_t bytes) {
  const ptx::Allocation* operand = ptx::device_memory().at(reinterpret_cast<uint64_t>(address));
  const ptx::Traffic& traffic = operand->traffic;
  const double sectors =
      static_cast<double>(traffic.loaded_sectors) / (static_cast<double>(bytes) / 32);
  const double vectors =
      static_cast<double>(traffic.vector_bytes) / static_cast<double>(traffic.loaded_bytes);
  std::printf("  %-28s %.2f of its sectors, %.1f %% by 16 bytes\n", what, sectors, 100 * vectors);
  CHECK(sectors <= kMostSectors);
  CHECK(sectors >= 1);
  CHECK(vectors >= kLeastVectors);
}

/// `x`: one row, in f32 or rounded.
void check_linear(const std::string& what, const Tensor& weight, const Tensor& x) {
  Array y(1, weight.rows);
  const DeviceTensor w(weight), in(x), out(y.tensor());
  const Counting counting;
  cuda::linear({out.tensor(), in.tensor(), w.tensor(), {}, 1}, nullptr);
  out.read(y.tensor());
  check_traffic(what.c_str(), w.tensor().data, weight.bytes());
}

}  // namespace

TEST("on PTX linear reads the weights of every format once, 16 bytes at a time") {
  constexpr int kColumns = 1536;
  Random random(1);
  Array x(1, kColumns);
  x.fill(random, -1, 1);
  QuantizedArray rounded(x);
  for (DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    Array weight(24, kColumns, dtype);
    check_linear(name_of(dtype), weight.fill(random, -1, 1).tensor(), x.tensor());
  }
  const auto check_packed = [&](DType format, Scales scales, int group) {
    PackedArray weight(format, group, 64, kColumns, scales);
    weight.fill(random, 0.01f);
    const std::string kind = std::to_string(static_cast<int>(scales));
    const std::string what =
        name_of(format) + (", scales " + kind) + ", group " + std::to_string(group);
    check_linear(what, weight.tensor(), x.tensor());
    check_linear(what + ", a8", weight.tensor(), rounded.tensor());
  };
  for (DType format : kPackedFormats) {
    for (int group : {32, 128}) check_packed(format, Scales::symmetric, group);
  }
  for (const auto& [format, scales, group] : kStoredKinds) check_packed(format, scales, group);
}

TEST("on PTX attention reads each key and value of a decode step once, 16 bytes at a time") {
  Random random(2);
  for (DType dtype : {DType::f32, DType::f16, DType::i8}) {
    const KvLayout layout{dtype, 1, 2, 128, false};
    constexpr int kTokens = 1024, kGroup = 8;
    Array k(kTokens, 2 * 128), v = k, q(1, 2 * kGroup * 128), y = q;
    k.fill(random, -2, 2), v.fill(random, -1, 1), q.fill(random, -3, 3);
    KvBlocks blocks(layout, kTokens);
    blocks.append(k, v, 0, 0);
    const std::vector<Segment> segments{{0, 1, kTokens - 1, blocks.blocks()}};
    const DeviceBatch batch(1, segments, layout, {&blocks});
    const DeviceTensor queries(q.tensor()), out(y.tensor());
    const Attention op{out.tensor(), queries.tensor(), segments, layout, 0, 0.1f};
    const DeviceBytes scratch(cuda::attention_scratch(op, kTokens) * sizeof(float));
    const Counting counting;
    cuda::attention(op, batch.batch(), kTokens, scratch.as<float>(), nullptr);
    out.read(y.tensor());
    const size_t block_bytes = layout.before_pooled();  // without padding at the end
    check_traffic(name_of(dtype), batch.blocks_of(0), kTokens / kBlockTokens * block_bytes);
  }
}

}  // namespace minicpm::test
