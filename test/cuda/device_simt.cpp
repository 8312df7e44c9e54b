#include "test/cuda/device.h"
#include "test/simt/schedules.h"

namespace minicpm::test {

void* allocate_on_device(size_t bytes) {
  return simt::device_allocate(bytes);
}

void free_on_device(void* address) {
  simt::device_free(address);
}

void copy_to_device(void* to, const void* from, size_t bytes) {
  simt::device_copy(to, from, bytes);
}

void copy_from_device(void* to, const void* from, size_t bytes) {
  simt::device_copy(to, from, bytes);
}

void on_device(const char* file, int line, const std::function<void()>& body) {
  under_schedules([&](const char* schedule) {
    body();
    const std::string found = take_findings();
    if (!found.empty()) fail(file, line, std::string(schedule) + ":" + found);
  });
}

}  // namespace minicpm::test
