// Kernels that nvcc compiled: port.h's operations, which are inline PTX there, give what the
// emulator gives (test/simt/emulator_test.cpp) and CUDA defines.
#include <cuda_runtime_api.h>

#include <utility>

#include "kernels/half.h"
#include "test/cuda/device.h"
#include "test/ptx/stand_in.h"
#include "test/simt/kernels.h"

namespace minicpm::test {

namespace {

template <typename... Parameters, typename... Arguments>
cudaError_t launch(unsigned blocks, unsigned threads, size_t dynamic, void (*kernel)(Parameters...),
                   Arguments... arguments) {
  const auto start = [&](Parameters... given) {
    void* pointers[] = {&given...};
    return cudaLaunchKernel(reinterpret_cast<const void*>(kernel), dim3(blocks), dim3(threads),
                            pointers, dynamic, nullptr);
  };
  return start(static_cast<Parameters>(arguments)...);
}

template <typename T>
std::vector<T> read(const DeviceBytes& bytes) {
  std::vector<T> numbers(bytes.size() / sizeof(T));
  copy_from_device(numbers.data(), bytes.as<void>(), bytes.size());
  return numbers;
}

/// What 64 floats `out`, zeros before, are after a launch of 64 threads.
template <typename... Parameters, typename... Arguments>
std::vector<float> floats_of(unsigned blocks, void (*kernel)(float*, Parameters...),
                             Arguments... arguments) {
  const DeviceBytes out = on_device_list(std::vector<float>(64));
  CHECK(launch(blocks, 64, 256, kernel, out.as<float>(), arguments...) == cudaSuccess);
  return read<float>(out);
}

bool starts_with(const std::vector<float>& numbers, const std::vector<float>& expected) {
  return std::equal(expected.begin(), expected.end(), numbers.begin());
}

}  // namespace

TEST("PTX of nvcc shuffles, votes and waits at barriers as CUDA defines") {
  const std::vector<float> shuffled{109, 101, 103, 102, 105, 108, 105, 104};
  CHECK(starts_with(floats_of(1, correct::shuffles), shuffled));
  const std::vector<float> voted{0x5555, 0x2020, 1, 0, 1, 0, 10};
  CHECK(starts_with(floats_of(1, correct::votes), voted));
  CHECK(starts_with(floats_of(4, correct::atomic_counters), {256, 64, 64, 64, 64}));
  CHECK(starts_with(floats_of(1, correct::other_atomics), {63, 3, 0xffff, 5, 9}));
}

TEST("PTX of nvcc sums over a block, and copies asynchronously in stages") {
  std::vector<float> counting(256);
  for (size_t i = 0; i < 256; i++) counting[i] = static_cast<float>(i);
  const DeviceBytes numbers = on_device_list(counting);
  const float* in = numbers.as<float>();
  CHECK(floats_of(1, correct::block_sum, in)[0] == 63 * 64 / 2);
  std::vector<float> expected(64);
  for (size_t t = 0; t < 64; t++) expected[t] = static_cast<float>(4 * t + 64 * 6);
  CHECK(floats_of(1, correct::double_buffer, in) == expected);
  CHECK(floats_of(1, correct::copies_in_stages, in) == expected);
  for (size_t t = 0; t < 64; t++) expected[t] = t % 4 ? 0 : static_cast<float>(t);
  CHECK(floats_of(1, correct::copy_with_zeros, in) == expected);
  for (size_t t = 0; t < 64; t++) expected[t] = static_cast<float>(63 - t);
  CHECK(floats_of(1, correct::dynamic_shared) == expected);
}

TEST("PTX of nvcc passes a lock between blocks that run together") {
  const ptx::Settings before = ptx::settings();
  ptx::Settings together = before;
  together.schedule.resident = 4;
  ptx::set(together);
  const DeviceBytes lock = on_device_list(std::vector<int>{0});
  CHECK(floats_of(9, correct::lock_between_blocks, lock.as<int>())[0] == 9);
  ptx::set(before);
}

TEST("PTX of nvcc multiplies matrices, every fragment where it belongs") {
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
  const auto run = [&](auto kernel, auto round) {
    const std::vector<int> a = numbers(16 * 16), b = numbers(8 * 16);
    std::vector<uint16_t> halves_a, halves_b;
    for (int x : a) halves_a.push_back(round(static_cast<float>(x)));
    for (int x : b) halves_b.push_back(round(static_cast<float>(x)));
    const DeviceBytes device_a = on_device_list(halves_a), device_b = on_device_list(halves_b);
    const DeviceBytes d(128 * sizeof(float));
    CHECK(launch(1, 32, 0, kernel, d.as<float>(), device_a.as<uint16_t>(),
                 device_b.as<uint16_t>()) == cudaSuccess);
    expect(read<float>(d), a, b);
  };
  const bool counted = std::exchange(ptx::counting, true);
  run(correct::product_f16, f32_to_f16);
  run(correct::product_bf16, f32_to_bf16);
  std::vector<int> a = numbers(16 * 32);
  for (int& number : a) number += number < 0 ? 256 : 0;  // unsigned
  const std::vector<int> b = numbers(8 * 32);
  const DeviceBytes device_a = on_device_list(std::vector<uint8_t>(a.begin(), a.end()));
  const DeviceBytes device_b = on_device_list(std::vector<int8_t>(b.begin(), b.end()));
  const DeviceBytes d(128 * sizeof(int32_t));
  CHECK(launch(1, 32, 0, correct::product_u8_s8, d.as<int32_t>(), device_a.as<uint8_t>(),
               device_b.as<int8_t>()) == cudaSuccess);
  expect(read<int32_t>(d), a, b);
  ptx::counting = counted;
  for (const char* numbers :
       {"16.row.col.f32.f16.f16.f32", "16.row.col.f32.bf16.bf16.f32", "32.row.col.s32.u8.s8.s32"}) {
    CHECK(ptx::counters.by_opcode[std::string("mma.sync.aligned.m16n8k") + numbers] >= 1);
  }
}

TEST("PTX of nvcc multiplies unsigned bytes with signed ones in one instruction") {
  std::vector<uint32_t> a(32), b(32);
  Random random(2);
  for (size_t i = 0; i < 32; i++) {
    a[i] = static_cast<uint32_t>(random.next()), b[i] = static_cast<uint32_t>(random.next());
  }
  const DeviceBytes device_a = on_device_list(a), device_b = on_device_list(b);
  const DeviceBytes d(32 * sizeof(int32_t));
  CHECK(launch(1, 32, 0, correct::dots_u8_s8, d.as<int32_t>(), device_a.as<uint32_t>(),
               device_b.as<uint32_t>()) == cudaSuccess);
  const std::vector<int32_t> dots = read<int32_t>(d);
  for (size_t i = 0; i < 32; i++) {
    int32_t sum = 5;
    for (int bits = 0; bits < 32; bits += 8) {
      sum += static_cast<uint8_t>(a[i] >> bits) * static_cast<int8_t>(b[i] >> bits);
    }
    CHECK(dots[i] == sum);
  }
}

TEST("PTX of nvcc loads matrices as they are, and transposed") {
  std::vector<uint16_t> numbers(4 * 64);
  for (size_t i = 0; i < numbers.size(); i++) numbers[i] = static_cast<uint16_t>(i * 17);
  const DeviceBytes matrices = on_device_list(numbers), out(256 * sizeof(uint32_t));
  CHECK(launch(1, 32, 0, correct::matrix_loads, out.as<uint32_t>(), matrices.as<uint16_t>()) ==
        cudaSuccess);
  const std::vector<uint32_t> registers = read<uint32_t>(out);
  for (size_t lane = 0; lane < 32; lane++) {
    for (size_t m = 0; m < 4; m++) {
      const size_t row = lane / 4, column = lane % 4 * 2;
      const auto at = [&](size_t r, size_t c) { return uint32_t{numbers[m * 64 + r * 8 + c]}; };
      CHECK(registers[lane * 4 + m] == (at(row, column) | at(row, column + 1) << 16));
      CHECK(registers[128 + lane * 4 + m] == (at(column, row) | at(column + 1, row) << 16));
    }
  }
}

TEST("PTX launches have a GPU's limits: threads, blocks, shared memory that was not asked for") {
  const DeviceBytes out = on_device_list(std::vector<float>(64));
  const auto kernel = correct::dynamic_shared;
  float* at = out.as<float>();
  CHECK(launch(1, 1025, 256, kernel, at) == cudaErrorInvalidConfiguration);
  CHECK(launch(1, 0, 256, kernel, at) == cudaErrorInvalidConfiguration);
  CHECK(launch(0, 64, 256, kernel, at) == cudaErrorInvalidConfiguration);
  CHECK(launch(1, 64, (48 << 10) + 16, kernel, at) == cudaErrorInvalidValue);
  const auto* function = reinterpret_cast<const void*>(kernel);
  const auto attribute = cudaFuncAttributeMaxDynamicSharedMemorySize;
  CHECK(cudaFuncSetAttribute(function, attribute, (99 << 10) + 1) == cudaErrorInvalidValue);
  CHECK(cudaFuncSetAttribute(function, attribute, 99 << 10) == cudaSuccess);
  CHECK(launch(1, 64, 99 << 10, kernel, at) == cudaSuccess);
  CHECK(cudaFuncSetAttribute(function, attribute, 48 << 10) == cudaSuccess);
  void* arguments[] = {&at};
  CHECK(cudaLaunchKernel(function, dim3(1, 65536), dim3(64), arguments, 256, nullptr) ==
        cudaErrorInvalidConfiguration);
  CHECK(cudaLaunchKernel(&out, dim3(1), dim3(64), arguments, 0, nullptr) ==
        cudaErrorInvalidDeviceFunction);
  CHECK(cudaGetLastError() == cudaErrorInvalidDeviceFunction);
  CHECK(cudaGetLastError() == cudaSuccess);
}

}  // namespace minicpm::test
