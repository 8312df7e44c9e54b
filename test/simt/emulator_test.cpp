// What the emulator computes, against numbers worked out here.
#include "kernels/half.h"
#include "test/kernels/tensors.h"
#include "test/kernels/test.h"
#include "test/simt/kernels.h"
#include "test/simt/schedules.h"

namespace minicpm::test {

namespace {

/// What 64 floats `out`, zeros before, are after a launch of 64 threads.
template <typename... Parameters, typename... Arguments>
std::vector<float> floats_of(unsigned blocks, void (*kernel)(float*, Parameters...),
                             Arguments... arguments) {
  const OnDevice<float> out(std::vector<float>(64));
  simt::launch({blocks}, {64}, 256, kernel, out.data(), arguments...);
  return out.read();
}

bool starts_with(const std::vector<float>& numbers, const std::vector<float>& expected) {
  return std::equal(expected.begin(), expected.end(), numbers.begin());
}

std::vector<float> counting(size_t count) {
  std::vector<float> numbers(count);
  for (size_t i = 0; i < count; i++) numbers[i] = static_cast<float>(i);
  return numbers;
}

}  // namespace

TEST("shuffles, votes and barriers with predicates give each lane what CUDA defines") {
  under_schedules([](const char*) {
    // Of lane 5 with 100 + lane: 9; 9 % 8 of the first eight; 5 ^ 6; 5 - 3; 5 - 2 is beyond the
    // second four, so its own; 5 + 3; beyond the eight; 5 ^ 1.
    const std::vector<float> shuffled{109, 101, 103, 102, 105, 108, 105, 104};
    CHECK(starts_with(floats_of(1, correct::shuffles), shuffled));
    // Of thread 37, in the second warp: even lanes; lanes 5, 13; 40 is in its warp; not all are
    // below 32; one is 63; not all are below 63; ten are below 10.
    const std::vector<float> voted{0x5555, 0x2020, 1, 0, 1, 0, 10};
    CHECK(starts_with(floats_of(1, correct::votes), voted));
  });
}

TEST(
    "sums over a block, buffers in two halves and copies in stages give the same under any "
    "schedule") {
  const OnDevice<float> numbers(counting(256));
  const float* in = numbers.data();
  under_schedules([&](const char*) {
    CHECK(floats_of(1, correct::block_sum, in)[0] == 63 * 64 / 2);
    std::vector<float> expected(64);
    for (size_t t = 0; t < 64; t++) expected[t] = static_cast<float>(4 * t + 64 * 6);
    CHECK(floats_of(1, correct::double_buffer, in) == expected);
    CHECK(floats_of(1, correct::copies_in_stages, in) == expected);
    for (size_t t = 0; t < 64; t++) expected[t] = t % 4 ? 0 : static_cast<float>(t);
    CHECK(floats_of(1, correct::copy_with_zeros, in) == expected);
    for (size_t t = 0; t < 64; t++) expected[t] = static_cast<float>(63 - t);
    CHECK(floats_of(1, correct::dynamic_shared) == expected);
  });
}

TEST("atomics lose nothing, within a block and between blocks") {
  under_schedules([](const char*) {
    CHECK(starts_with(floats_of(4, correct::atomic_counters), {256, 64, 64, 64, 64}));
    CHECK(starts_with(floats_of(1, correct::other_atomics), {63, 3, 0xffff, 5, 9}));
  });
}

TEST("a lock between blocks works when they run together") {
  const simt::Options before = simt::options;
  for (simt::Order order : {simt::Order::ascending, simt::Order::random}) {
    simt::options = {order, 3, true, 4};
    const OnDevice<int> lock(std::vector<int>{0});
    CHECK(floats_of(9, correct::lock_between_blocks, lock.data())[0] == 9);
    CHECK(take_findings().empty());
  }
  simt::options = before;
}

TEST("the same seed gives the same schedule") {
  const simt::Options before = simt::options;
  const auto run = [](uint64_t seed) {
    simt::options = {simt::Order::random, seed, true, 1};
    floats_of(1, faulty::missing_barrier);
    const simt::Finding first = simt::findings.at(0);
    simt::findings.clear();
    return first.thread.x * 1000 + static_cast<unsigned>(first.count);
  };
  CHECK(run(5) == run(5));
  CHECK(run(5) != run(6) || run(5) != run(7));
  simt::options = before;
}

TEST("matrix products put every fragment where PTX says, exact for small integers") {
  Random random(1);
  const auto numbers = [&](size_t count) {
    std::vector<int> drawn(count);
    for (int& number : drawn) number = random.below(101) - 50;
    return drawn;
  };
  // The accumulators start at 1 and 2, and at 3 and 4 in the lower rows.
  const auto expect = [](const auto& d, const std::vector<int>& a, const std::vector<int>& b) {
    const size_t depth = a.size() / 16;
    for (size_t i = 0; i < 16; i++) {
      for (size_t j = 0; j < 8; j++) {
        int sum = static_cast<int>(1 + j % 2 + i / 8 * 2);
        for (size_t k = 0; k < depth; k++) sum += a[i * depth + k] * b[j * depth + k];
        CHECK(static_cast<int>(d[i * 8 + j]) == sum);
      }
    }
  };
  const auto halves = [](const std::vector<int>& given, auto round) {
    std::vector<uint16_t> rounded;
    for (int number : given) rounded.push_back(round(static_cast<float>(number)));
    return rounded;
  };
  const auto run = [&](auto kernel, auto round) {
    const std::vector<int> a = numbers(16 * 16), b = numbers(8 * 16);
    const OnDevice<uint16_t> device_a(halves(a, round)), device_b(halves(b, round));
    const OnDevice<float> d(128);
    simt::launch({1}, {32}, 0, kernel, d.data(), device_a.data(), device_b.data());
    expect(d.read(), a, b);
  };
  run(correct::product_f16, f32_to_f16);
  run(correct::product_bf16, f32_to_bf16);

  std::vector<int> a = numbers(16 * 32);
  const std::vector<int> b = numbers(8 * 32);
  for (int& number : a) number += 200;  // of 8 bits without a sign
  const OnDevice<uint8_t> device_a(std::vector<uint8_t>(a.begin(), a.end()));
  const OnDevice<int8_t> device_b(std::vector<int8_t>(b.begin(), b.end()));
  const OnDevice<int32_t> d(128);
  simt::launch({1}, {32}, 0, correct::product_u8_s8, d.data(), device_a.data(), device_b.data());
  expect(d.read(), a, b);
  CHECK(take_findings().empty());
}

TEST("a dot product of four bytes takes the first ones without a sign, the others with one") {
  const OnDevice<uint32_t> a(std::vector<uint32_t>{0xff800102, 0xffffffff});
  const OnDevice<uint32_t> b(std::vector<uint32_t>{0x80ff7f03, 0x80808080});
  const OnDevice<int32_t> d(2);
  simt::launch({1}, {2}, 0, correct::dots_u8_s8, d.data(), a.data(), b.data());
  CHECK(d.read()[0] == 5 + 2 * 3 + 1 * 127 - 128 * 1 - 255 * 128);
  CHECK(d.read()[1] == 5 - 4 * 255 * 128);
  CHECK(take_findings().empty());
}

TEST("ldmatrix gives each lane two neighbours of a row, or of a column where transposed") {
  std::vector<uint16_t> numbers(4 * 64);
  for (size_t i = 0; i < numbers.size(); i++) numbers[i] = static_cast<uint16_t>(i * 17);
  const OnDevice<uint16_t> matrices(numbers);
  const OnDevice<uint32_t> out(256);
  simt::launch({1}, {32}, 0, correct::matrix_loads, out.data(), matrices.data());
  const std::vector<uint32_t> registers = out.read();
  for (size_t lane = 0; lane < 32; lane++) {
    for (size_t m = 0; m < 4; m++) {
      const size_t row = lane / 4, column = lane % 4 * 2;
      const auto at = [&](size_t r, size_t c) { return uint32_t{numbers[m * 64 + r * 8 + c]}; };
      CHECK(registers[lane * 4 + m] == (at(row, column) | at(row, column + 1) << 16));
      CHECK(registers[128 + lane * 4 + m] == (at(column, row) | at(column + 1, row) << 16));
    }
  }
  CHECK(take_findings().empty());
}

TEST(
    "the emulator refuses what a device would: too many threads, too much shared memory, no "
    "blocks") {
  const OnDevice<float> out(64);
  const auto kernel = correct::exchange_in_warp;
  CHECK_THROWS(ErrorCode::kDevice, simt::launch({1}, {1025}, 0, kernel, out.data()));
  CHECK_THROWS(ErrorCode::kDevice, simt::launch({1}, {0}, 0, kernel, out.data()));
  CHECK_THROWS(ErrorCode::kDevice, simt::launch({0}, {64}, 0, kernel, out.data()));
  CHECK_THROWS(ErrorCode::kDevice, simt::launch({1, 65536}, {64}, 0, kernel, out.data()));
  CHECK_THROWS(ErrorCode::kDevice, simt::launch({1}, {64}, (99 << 10) + 1, kernel, out.data()));
}

TEST("device memory is aligned, counted, poisoned when new, and null when used up") {
  const size_t before = simt::device_bytes_in_use();
  {
    const OnDevice<float> a(3), b(1000);
    CHECK(reinterpret_cast<uintptr_t>(a.data()) % 256 == 0);
    CHECK(reinterpret_cast<uintptr_t>(b.data()) % 256 == 0);
    CHECK(simt::device_bytes_in_use() == before + 4012);
    CHECK(std::isnan(b.read()[999]));
    CHECK(simt::device_allocate(simt::kRegionBytes) == nullptr);
  }
  CHECK(simt::device_bytes_in_use() == before);
}

}  // namespace minicpm::test
