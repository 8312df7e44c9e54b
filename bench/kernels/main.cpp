// native_bench [filter] [--threads N]: measures the kernels. One line a case.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bench/kernels/bench.h"
#include "kernels/cpu/probe.h"
#include "native/backend/buffer.h"
#include "native/os/os.h"

namespace minicpm::avxvnni_evex {
extern const CpuKernels kernels;
}

namespace minicpm::bench {

namespace {

using Clock = std::chrono::steady_clock;

struct Body {
  const char* name;
  void (*run)();
};

std::vector<Body>& bodies() {
  static std::vector<Body> all;
  return all;
}

std::string filter;
int thread_count = 0;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// What the bandwidth probe reads: far more than any cache holds.
std::span<std::byte> probe_memory() {
  static const Buffer memory = [] {
    Buffer buffer(size_t{384} << 20);
    os::prefer_large_pages(buffer.data(), buffer.size());
    fill_for_probe({buffer.data(), buffer.size()});
    return buffer;
  }();
  return {memory.data(), memory.size()};
}

/// Seconds of one run: the mean over at least 50 ms.
double seconds_of(const std::function<void()>& run) {
  const auto start = Clock::now();
  int runs = 0;
  double seconds = 0;
  do {
    run();
    runs++;
    seconds = std::chrono::duration<double>(Clock::now() - start).count();
  } while (seconds < 0.05);
  return seconds / runs;
}

}  // namespace

Registration::Registration(const char* name, void (*body)()) {
  bodies().push_back({name, body});
}

bool wanted(const std::string& name) {
  return name.find(filter) != std::string::npos;
}

int threads() {
  return thread_count;
}

std::vector<const CpuKernels*> kernel_sets() {
  std::vector<const CpuKernels*> sets;
  for (const CpuKernels* set : cpu_kernel_sets()) {
    if (set->supported()) sets.push_back(set);
  }
  if (avxvnni_evex::kernels.supported()) sets.push_back(&avxvnni_evex::kernels);
  return sets;
}

void measure(const Case& bench) {
  if (!wanted(bench.name)) return;
  std::vector<double> seconds, shares;
  bench.run();
  for (int round = 0; round < 5; round++) {
    const double limit = bench.limit == Limit::bandwidth
                             ? read_bandwidth(probe_memory(), *bench.workers)
                         : bench.limit == Limit::fma  ? fma_peak(*bench.set, *bench.workers)
                         : bench.limit == Limit::int8 ? int8_peak(*bench.set, *bench.workers)
                                                      : 0;
    seconds.push_back(seconds_of(bench.run));
    if (limit > 0) shares.push_back(bench.amount / seconds.back() / limit);
  }
  const double time = median(seconds);
  std::printf("%-64s %10.1f us", bench.name.c_str(), 1e6 * time);
  if (bench.limit == Limit::bandwidth) {
    std::printf("   %6.1f GB/s      %3.0f %% of bandwidth", bench.amount / time / 1e9,
                100 * median(shares));
  } else if (bench.limit == Limit::fma) {
    std::printf("   %6.1f GFLOP/s   %3.0f %% of FMA peak", bench.amount / time / 1e9,
                100 * median(shares));
  } else if (bench.limit == Limit::int8) {
    std::printf("   %6.1f GOPS      %3.0f %% of int8 peak", bench.amount / time / 1e9,
                100 * median(shares));
  }
  std::printf("\n");
  std::fflush(stdout);
}

}  // namespace minicpm::bench

int main(int count, char** words) {
  using namespace minicpm;
  bench::thread_count = os::physical_cores();
  for (int i = 1; i < count; i++) {
    if (std::strcmp(words[i], "--threads") == 0 && i + 1 < count) {
      bench::thread_count = std::max(1, std::atoi(words[++i]));
    } else {
      bench::filter = words[i];
    }
  }
  std::printf("%s, %d threads\n", os::cpu_name().c_str(), bench::thread_count);
  for (const auto& body : bench::bodies()) body.run();
}
