#include "kernels/cpu/workers.h"

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "test/kernels/test.h"

namespace minicpm::test {

namespace {

struct Tally {
  std::vector<std::atomic<int>> runs;
  std::atomic<int> bad_threads{0};
  int threads;

  Tally(int count, int threads) : runs(static_cast<size_t>(count)), threads(threads) {}

  static void item(void* context, int item, int thread) {
    Tally& tally = *static_cast<Tally*>(context);
    tally.runs[static_cast<size_t>(item)]++;
    if (thread < 0 || thread >= tally.threads) tally.bad_threads++;
  }
};

}  // namespace

TEST("workers run every item once, on threads within bounds, for any count and number of threads") {
  for (int threads : {1, 2, 3, 8}) {
    Workers workers(threads);
    CHECK(workers.threads() == threads);
    for (int count : {0, 1, 2, 7, 1000}) {
      Tally tally(count, threads);
      workers.run(count, Tally::item, &tally);
      CHECK(tally.bad_threads == 0);
      for (const std::atomic<int>& runs : tally.runs) CHECK(runs == 1);
    }
  }
}

TEST("thousands of short runs in a row are each complete when they return") {
  Workers workers(3);
  for (int run = 0; run < 5000; run++) {
    int values[6] = {};  // not atomic: run() itself must order the writes before its return
    workers.run(
        6, [](void* context, int item, int) { static_cast<int*>(context)[item] = item + 1; },
        values);
    CHECK(values[0] + values[1] + values[2] + values[3] + values[4] + values[5] == 21);
  }
}

TEST("workers that fell asleep wake up for the next run") {
  Workers workers(2);
  for (int run = 0; run < 3; run++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    Tally tally(50, 2);
    workers.run(50, Tally::item, &tally);
    for (const std::atomic<int>& runs : tally.runs) CHECK(runs == 1);
  }
}

TEST("scratch is aligned, apart for each thread, and stays where it is for a smaller request") {
  Workers workers(2);
  workers.reserve(1000, 500);
  void* const before[] = {workers.scratch(0), workers.scratch(1), workers.shared_scratch()};
  for (void* memory : before) CHECK(reinterpret_cast<uintptr_t>(memory) % 64 == 0);
  CHECK(before[0] != before[1] && before[1] != before[2]);
  std::memset(before[0], 1, 1000);
  std::memset(before[2], 1, 500);
  workers.reserve(10, 500);
  CHECK(workers.scratch(0) == before[0] && workers.shared_scratch() == before[2]);
}

}  // namespace minicpm::test
