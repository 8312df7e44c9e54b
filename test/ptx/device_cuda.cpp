// The device over CUDA's runtime: a GPU, or test/ptx/ in its place.
#include <cuda_runtime_api.h>

#include "test/cuda/device.h"

namespace minicpm::test {

namespace {

void expect_success(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
}

}  // namespace

void* allocate_on_device(size_t bytes) {
  void* address = nullptr;
  expect_success(cudaMalloc(&address, bytes), "cudaMalloc");
  return address;
}

void free_on_device(void* address) {
  (void)cudaFree(address);  // what failed before is a failure already
}

void copy_to_device(void* to, const void* from, size_t bytes) {
  expect_success(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice), "copying to the device");
}

void copy_from_device(void* to, const void* from, size_t bytes) {
  expect_success(cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToHost), "copying from the device");
}

void on_device(const char* file, int line, const std::function<void()>& body) {
  std::string problem;
  try {
    body();
    expect_success(cudaDeviceSynchronize(), "waiting for the device");
  } catch (const std::exception& error) {
    problem = error.what();
  }
  if (problem.empty()) return;
  fail(file, line, problem);
  (void)cudaDeviceReset();  // a kernel's error would stick
}

}  // namespace minicpm::test
