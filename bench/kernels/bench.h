// A tiny bench framework: `native_bench [filter]` prints one line a case: what, how long, how fast,
// and the share of this machine's limit, which a probe measures in the same minute.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kernels/cpu/table.h"

namespace minicpm::bench {

struct Registration {
  Registration(const char* file, void (*body)());
};

/// Whether a case of that name is wanted by the command line's filter.
bool wanted(const std::string& name);

/// Threads that benches use: the machine's cores, or --threads N.
int threads();

/// What bounds a case.
enum class Limit { bandwidth, fma, int8, none };

struct Case {
  std::string name;  // "linear  avx512  bf16  tokens 1  4096 x 1024"
  double amount;     // bytes read or floating-point operations of one run
  Limit limit;
  const CpuKernels* set;  // whose peak is the limit
  Workers* workers;       // that run it and the probe
  std::function<void()> run;
};

/// Alternates probe and case five times and prints the line of the medians.
void measure(const Case& bench);

/// The kernel sets that this machine can run.
std::vector<const CpuKernels*> kernel_sets();

}  // namespace minicpm::bench

#define BENCH(name)                                                             \
  static void name();                                                           \
  static const ::minicpm::bench::Registration name##_registration(#name, name); \
  static void name()
