// What the stand-in for CUDA's runtime does as the runtime does, and the failures that it makes on
// purpose.
#include "test/ptx/stand_in.h"

#include <cuda_runtime_api.h>

#include <cstring>

#include "test/cuda/device.h"
#include "test/simt/kernels.h"

namespace minicpm::test {

namespace {

/// Settings for a while; afterwards they and the device are as before, and nothing may be left.
class With {
 public:
  explicit With(const std::function<void(ptx::Settings&)>& change) : before_(ptx::settings()) {
    ptx::Settings changed;  // whatever the environment says
    changed.print = false;
    change(changed);
    ptx::set(changed);
  }
  ~With() {
    ptx::set(before_);
    CHECK(ptx::leaks().empty());
    (void)cudaDeviceReset();
    ptx::take_faults();
  }
  With(const With&) = delete;
  With& operator=(const With&) = delete;

 private:
  const ptx::Settings before_;
};

void as_it_is(ptx::Settings&) {}
void delayed(ptx::Settings& settings) {
  settings.delay = true;
}

cudaError_t launch_sum(float* out, const float* in, cudaStream_t stream) {
  void* arguments[] = {&out, &in};
  return cudaLaunchKernel(reinterpret_cast<const void*>(correct::block_sum), dim3(1), dim3(64),
                          arguments, 0, stream);
}

/// Memory of the host that the device copies to and from by itself.
class Pinned {
 public:
  explicit Pinned(size_t count) {
    CHECK(cudaMallocHost(reinterpret_cast<void**>(&data), count * sizeof(float)) == cudaSuccess);
    std::fill_n(data, count, 0.0f);
  }
  ~Pinned() { (void)cudaFreeHost(data); }

  float* data = nullptr;
};

/// A step as the engine makes it: up, a kernel, down, and the wait that belongs behind it. Answers
/// what the host reads; `waits` says whether it waits.
float step(bool waits) {
  const DeviceBytes in(64 * sizeof(float)), out(64 * sizeof(float));
  Pinned given(64), answer(64);
  std::fill_n(given.data, 64, 2.0f);
  cudaStream_t stream = nullptr;
  CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
  CHECK(cudaMemcpyAsync(in.as<void>(), given.data, in.size(), cudaMemcpyHostToDevice, stream) ==
        cudaSuccess);
  CHECK(launch_sum(out.as<float>(), in.as<float>(), stream) == cudaSuccess);
  CHECK(cudaMemcpyAsync(answer.data, out.as<void>(), 4, cudaMemcpyDeviceToHost, stream) ==
        cudaSuccess);
  if (waits) CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
  const float seen = answer.data[0];
  CHECK(cudaStreamDestroy(stream) == cudaSuccess);
  return seen;
}

}  // namespace

TEST("PTX copies and kernels that are not waited for are seen in a delay, and only there") {
  {
    const With with(as_it_is);
    CHECK(step(true) == 128 && step(false) == 128);
  }
  const With with(delayed);
  CHECK(step(true) == 128 && step(false) == 0);
}

TEST("PTX copies from pageable memory take what it holds at the call, from page-locked later") {
  const With with(delayed);
  const DeviceBytes to(4);
  float pageable = 1, seen = 0;
  Pinned pinned(1);
  pinned.data[0] = 1;
  CHECK(cudaMemcpyAsync(to.as<void>(), &pageable, 4, cudaMemcpyHostToDevice, nullptr) ==
        cudaSuccess);
  pageable = 2;
  CHECK(cudaMemcpy(&seen, to.as<void>(), 4, cudaMemcpyDeviceToHost) == cudaSuccess && seen == 1);
  CHECK(cudaMemcpyAsync(to.as<void>(), pinned.data, 4, cudaMemcpyHostToDevice, nullptr) ==
        cudaSuccess);
  pinned.data[0] = 3;
  CHECK(cudaMemcpy(&seen, to.as<void>(), 4, cudaMemcpyDeviceToHost) == cudaSuccess && seen == 3);
}

TEST("PTX streams wait for each other's events, for the default stream, and for nothing else") {
  const With with(delayed);
  const DeviceBytes a(4), b(4);
  Pinned numbers(3);
  cudaStream_t first, second, blocking;
  cudaEvent_t event;
  CHECK(cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking) == cudaSuccess);
  CHECK(cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking) == cudaSuccess);
  CHECK(cudaStreamCreate(&blocking) == cudaSuccess);
  CHECK(cudaEventCreate(&event) == cudaSuccess);
  CHECK(cudaEventQuery(event) == cudaSuccess);  // nothing recorded
  numbers.data[0] = 7;
  (void)cudaMemcpyAsync(a.as<void>(), numbers.data, 4, cudaMemcpyHostToDevice, first);
  CHECK(cudaEventRecord(event, first) == cudaSuccess);
  CHECK(cudaStreamWaitEvent(second, event, 0) == cudaSuccess);
  (void)cudaMemcpyAsync(numbers.data + 1, a.as<void>(), 4, cudaMemcpyDeviceToHost, second);
  CHECK(cudaStreamQuery(first) == cudaErrorNotReady);  // the copy has run, the event has not
  CHECK(cudaStreamSynchronize(second) == cudaSuccess && numbers.data[1] == 7);
  CHECK(cudaStreamQuery(first) == cudaSuccess && cudaEventQuery(event) == cudaSuccess);

  (void)cudaMemsetAsync(b.as<void>(), 0, 4, blocking);
  (void)cudaMemsetAsync(a.as<void>(), 0, 4, first);
  numbers.data[2] = 5;
  (void)cudaMemcpyAsync(numbers.data + 2, b.as<void>(), 4, cudaMemcpyDeviceToHost, nullptr);
  CHECK(cudaStreamSynchronize(nullptr) == cudaSuccess && numbers.data[2] == 0);
  CHECK(cudaStreamQuery(blocking) == cudaSuccess);
  float milliseconds = -1;
  CHECK(cudaEventElapsedTime(&milliseconds, event, event) == cudaSuccess && milliseconds == 0);
  CHECK(cudaDeviceSynchronize() == cudaSuccess);
  CHECK(cudaEventDestroy(event) == cudaSuccess);
  for (cudaStream_t stream : {first, second, blocking}) {
    CHECK(cudaStreamDestroy(stream) == cudaSuccess);
    CHECK(cudaStreamSynchronize(stream) == cudaErrorInvalidResourceHandle);
  }
}

TEST("PTX kernels' faults are the runtime's errors from then on, until the device is reset") {
  const With with(delayed);
  float* in = nullptr;
  CHECK(cudaMalloc(reinterpret_cast<void**>(&in), 128) == cudaSuccess);
  CHECK(launch_sum(in, in, nullptr) == cudaSuccess);  // reads 256 bytes that nobody wrote
  CHECK(cudaDeviceSynchronize() == cudaErrorLaunchFailure);
  CHECK(cudaMemset(in, 0, 128) == cudaErrorLaunchFailure);
  const std::vector<std::string> faults = ptx::take_faults();
  CHECK(faults.size() == 1 &&
        faults[0].find("block_sum, block 0,0,0, PTX line") != std::string::npos);
  CHECK(cudaDeviceReset() == cudaSuccess);
  const DeviceBytes again(128);
  CHECK(cudaMemset(again.as<void>(), 0, 128) == cudaSuccess);
  CHECK(launch_sum(again.as<float>(), again.as<float>(), nullptr) == cudaSuccess);
  CHECK(cudaDeviceSynchronize() == cudaErrorIllegalAddress);
}

TEST("PTX copies and fills beyond an allocation, of freed memory or the wrong way are refused") {
  const With with(as_it_is);
  const DeviceBytes bytes(16);
  float host[8] = {};
  const auto refused = [](cudaError_t error, const char* words) {
    const std::vector<std::string> faults = ptx::take_faults();
    return error == cudaErrorInvalidValue && faults.size() == 1 &&
           faults[0].find(words) != std::string::npos;
  };
  CHECK(refused(cudaMemcpy(bytes.as<void>(), host, 20, cudaMemcpyHostToDevice),
                "a copy of 20 bytes at byte 0 of an allocation of 16"));
  CHECK(refused(cudaMemcpy(bytes.as<void>(), host, 4, cudaMemcpyDeviceToHost), "direction"));
  CHECK(refused(cudaMemset(bytes.as<char>() + 8, 0, 9), "a fill of 9 bytes at byte 8"));
  void* freed = nullptr;
  CHECK(cudaMalloc(&freed, 16) == cudaSuccess && cudaFree(freed) == cudaSuccess);
  CHECK(refused(cudaMemcpy(host, freed, 4, cudaMemcpyDeviceToHost), "freed memory"));
  CHECK(refused(cudaFree(freed), "freed memory"));
  CHECK(refused(cudaFree(host), "not device memory"));
  CHECK(refused(cudaFreeHost(host), "not page-locked"));
  CHECK(cudaFree(nullptr) == cudaSuccess);
  CHECK(cudaMemcpy(nullptr, host, 0, cudaMemcpyHostToDevice) == cudaSuccess);
}

TEST("PTX devices that are not there, and drivers too old, answer as CUDA does") {
  int count = -1, version = -1;
  {
    const With with([](ptx::Settings& settings) { settings.device = ptx::Device::none; });
    CHECK(cudaGetDeviceCount(&count) == cudaErrorNoDevice && count == 0);
    CHECK(cudaDriverGetVersion(&version) == cudaSuccess && version == 0);
    void* address = nullptr;
    CHECK(cudaMalloc(&address, 4) == cudaErrorNoDevice && address == nullptr);
    CHECK(std::strcmp(cudaGetErrorString(cudaGetLastError()),
                      "no CUDA-capable device is detected") == 0);
  }
  {
    const With with([](ptx::Settings& settings) { settings.device = ptx::Device::old_driver; });
    CHECK(cudaGetDeviceCount(&count) == cudaErrorInsufficientDriver);
    CHECK(cudaDriverGetVersion(&version) == cudaSuccess && version == 11040);
    CHECK(std::strcmp(cudaGetErrorName(cudaErrorInsufficientDriver),
                      "cudaErrorInsufficientDriver") == 0);
  }
  const With with(as_it_is);
  cudaDeviceProp properties;
  CHECK(cudaGetDeviceCount(&count) == cudaSuccess && count == 1);
  CHECK(cudaSetDevice(1) == cudaErrorInvalidDevice && cudaSetDevice(0) == cudaSuccess);
  CHECK(cudaGetDeviceProperties(&properties, 0) == cudaSuccess && properties.major == 8);
  CHECK(cudaDeviceGetAttribute(&count, cudaDevAttrWarpSize, 0) == cudaSuccess && count == 32);
  CHECK(cudaDeviceGetAttribute(&count, cudaDevAttrMaxPitch, 0) == cudaErrorInvalidValue);
}

TEST("PTX device memory has an end, and says how much is left") {
  const With with([](ptx::Settings& settings) { settings.vram = 1 << 20; });
  size_t free = 0, total = 0;
  const DeviceBytes half(1 << 19);
  CHECK(cudaMemGetInfo(&free, &total) == cudaSuccess && free == 1 << 19 && total == 1 << 20);
  void* more = nullptr;
  CHECK(cudaMalloc(&more, (1 << 19) + 1) == cudaErrorMemoryAllocation && more == nullptr);
  CHECK(cudaGetLastError() == cudaErrorMemoryAllocation);  // and that sticks no further
  const DeviceBytes rest(1 << 19);
  CHECK(ptx::leaks() == "CUDA: not freed: 2 allocations of 1048576 bytes");
}

TEST("PTX runs fail at every allocation and every call that is asked for, and leak nothing") {
  const auto run = [] {
    const std::vector<float> ones(64, 1);
    const DeviceBytes in = on_device_list(ones), out(256);
    if (const cudaError_t error = launch_sum(out.as<float>(), in.as<float>(), nullptr)) {
      throw std::runtime_error(cudaGetErrorString(error));
    }
    float sum = 0;
    copy_from_device(&sum, out.as<void>(), 4);
    CHECK(sum == 64);
  };
  const auto failure_of = [&](const std::function<void(ptx::Settings&)>& change) -> std::string {
    const With with(change);
    try {
      run();
    } catch (const std::exception& error) {
      return error.what();
    }
    return "";
  };
  CHECK(failure_of(as_it_is).empty());
  int calls = 0, allocations = 0;
  {
    const With with(as_it_is);
    run();
    calls = ptx::calls_made(), allocations = ptx::allocations_made();
  }
  CHECK(calls == 5 && allocations == 2);
  const char* const failures[] = {
      "cudaMalloc: out of memory", "copying to the device: unknown error",
      "cudaMalloc: out of memory", "too many resources requested for launch",
      "copying from the device: unknown error"};
  for (int i = 1; i <= calls; i++) {
    CHECK(failure_of([&](ptx::Settings& settings) { settings.fail_call = i; }) == failures[i - 1]);
  }
  for (int i = 1; i <= allocations; i++) {
    CHECK(failure_of([&](ptx::Settings& settings) { settings.fail_allocation = i; }) ==
          "cudaMalloc: out of memory");
  }
}

}  // namespace minicpm::test
