#include "bench/cuda/device.h"

#include <string>

#include "kernels/error.h"

namespace minicpm::bench {

void expect_success(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  throw Error(ErrorCode::kDevice, std::string(what) + ": " + cudaGetErrorString(error));
}

DeviceMemory::DeviceMemory(size_t bytes) {
  expect_success(cudaMalloc(&data_, bytes), "cudaMalloc");
}

DeviceMemory::DeviceMemory(const void* from, size_t bytes) : DeviceMemory(bytes) {
  expect_success(cudaMemcpy(data_, from, bytes, cudaMemcpyHostToDevice), "copying to the device");
}

double seconds_of(const std::function<void(int)>& run, int runs) {
  cudaEvent_t begin, end;
  expect_success(cudaEventCreate(&begin), "cudaEventCreate");
  expect_success(cudaEventCreate(&end), "cudaEventCreate");
  run(0);
  expect_success(cudaEventRecord(begin, nullptr), "cudaEventRecord");
  for (int i = 1; i <= runs; i++) run(i);
  expect_success(cudaEventRecord(end, nullptr), "cudaEventRecord");
  expect_success(cudaEventSynchronize(end), "running");
  float milliseconds = 0;
  expect_success(cudaEventElapsedTime(&milliseconds, begin, end), "cudaEventElapsedTime");
  (void)cudaEventDestroy(begin);
  (void)cudaEventDestroy(end);
  return static_cast<double>(milliseconds) / 1e3 / runs;
}

double copy_bandwidth(size_t bytes) {
  const DeviceMemory from(bytes), to(bytes);
  const double seconds = seconds_of(
      [&](int) {
        expect_success(cudaMemcpyAsync(to.as<void>(), from.as<void>(), bytes,
                                       cudaMemcpyDeviceToDevice, nullptr),
                       "copying");
      },
      10);
  return 2.0 * static_cast<double>(bytes) / seconds;
}

}  // namespace minicpm::bench
