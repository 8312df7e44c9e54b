// Runs kernels on the emulator under several schedules, and memory for them.
#pragma once

#include <string>
#include <vector>

#include "kernels/simt/checker.h"
#include "kernels/simt/machine.h"
#include "kernels/simt/memory.h"

namespace minicpm::test {

/// Three orders of threads and blocks, copies that land late and early. Calls `body(name)` under
/// each; the options are as before at the end.
template <typename Body>
void under_schedules(Body body) {
  const simt::Options before = simt::options;
  simt::options = {simt::Order::ascending, 1, true, 1};
  body("ascending, late copies");
  simt::options = {simt::Order::descending, 1, false, 1};
  body("descending, early copies");
  simt::options = {simt::Order::random, 7, true, 2};
  body("random, late copies, two blocks at once");
  simt::options = before;
}

/// What the checker has found since the last call, as text; empty when nothing.
inline std::string take_findings() {
  std::string text;
  for (const simt::Finding& finding : simt::findings) text += "\n    " + finding.text();
  simt::findings.clear();
  return text;
}

/// Numbers in the emulated device's memory.
template <typename T>
class OnDevice {
 public:
  explicit OnDevice(const std::vector<T>& numbers) : OnDevice(numbers.size()) {
    simt::device_copy(data_, numbers.data(), count_ * sizeof(T));
  }
  explicit OnDevice(size_t count)
      : count_(count), data_(static_cast<T*>(simt::device_allocate(count * sizeof(T)))) {}
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  ~OnDevice() { simt::device_free(data_); }

  T* data() const { return data_; }
  std::vector<T> read() const {
    std::vector<T> numbers(count_);
    simt::device_copy(numbers.data(), data_, count_ * sizeof(T));
    return numbers;
  }

 private:
  size_t count_;
  T* data_;
};

}  // namespace minicpm::test
