// `sample` on the CPU: one thread, no instruction set of its own, the same token as the definition.
#pragma once

#include <cstddef>
#include <memory>

#include "kernels/sample.h"

namespace minicpm {

/// Runs Sample with memory that it keeps: no allocation after the first call of a vocabulary's
/// size.
class Sampler {
 public:
  Sampler();
  ~Sampler();

  void run(const Sample& op);

 private:
  struct Memory;
  std::unique_ptr<Memory> memory_;
};

}  // namespace minicpm
