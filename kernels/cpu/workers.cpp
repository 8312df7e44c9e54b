#include "kernels/cpu/workers.h"

#include <atomic>
#include <chrono>
#include <new>
#include <thread>
#include <utility>
#include <vector>

namespace minicpm {

namespace {

constexpr std::align_val_t kAlignment{64};

/// Aligned memory that grows and never shrinks.
struct Scratch {
  void* data = nullptr;
  size_t size = 0;

  Scratch() = default;
  Scratch(Scratch&& other) noexcept
      : data(std::exchange(other.data, nullptr)), size(std::exchange(other.size, 0)) {}
  ~Scratch() { ::operator delete(data, kAlignment); }

  void grow(size_t bytes) {
    if (bytes <= size) return;
    ::operator delete(data, kAlignment);
    data = nullptr;
    size = 0;
    data = ::operator new(bytes, kAlignment);
    size = bytes;
  }
};

/// Waits until value != old and returns the new one: spins for 50 us, the time of a few small ops,
/// then sleeps. A thread that spins longer takes the core from whoever would do the work.
int wait_for_change(const std::atomic<int>& value, int old) {
  const auto start = std::chrono::steady_clock::now();
  for (;;) {
    for (int i = 0; i < 32; i++) {
      const int now = value.load(std::memory_order_acquire);
      if (now != old) return now;
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    }
    if (std::chrono::steady_clock::now() - start > std::chrono::microseconds(50)) {
      value.wait(old, std::memory_order_acquire);
    }
  }
}

}  // namespace

struct Workers::Shared {
  // The run in progress; written while `unclaimed` is 0, read by those who claimed one of its
  // items.
  Item item = nullptr;
  void* context = nullptr;
  int count = 0;

  alignas(64) std::atomic<int> unclaimed{0};   // item count - unclaimed is the next
  alignas(64) std::atomic<int> unfinished{0};  // the caller leaves when it is 0
  alignas(64) std::atomic<int> runs{0};        // changes when there is a run, or the end
  std::atomic<bool> ending{false};

  std::vector<Scratch> scratch;  // one a thread, then the shared one
  std::vector<std::thread> threads;

  void work(int thread) {
    int left = unclaimed.load(std::memory_order_acquire);
    while (left > 0) {
      if (!unclaimed.compare_exchange_weak(left, left - 1, std::memory_order_acq_rel)) continue;
      item(context, count - left, thread);
      if (unfinished.fetch_sub(1, std::memory_order_acq_rel) == 1) unfinished.notify_one();
      left = unclaimed.load(std::memory_order_acquire);
    }
  }

  void loop(int thread) {
    int seen = 0;
    for (;;) {
      seen = wait_for_change(runs, seen);
      if (ending.load(std::memory_order_acquire)) return;
      work(thread);
    }
  }
};

Workers::Workers(int threads) : shared_(new Shared), threads_(threads < 1 ? 1 : threads) {
  shared_->scratch.resize(static_cast<size_t>(threads_) + 1);
  for (int t = 1; t < threads_; t++) {
    shared_->threads.emplace_back([shared = shared_, t] { shared->loop(t); });
  }
}

Workers::~Workers() {
  shared_->ending.store(true, std::memory_order_release);
  shared_->runs.fetch_add(1, std::memory_order_release);
  shared_->runs.notify_all();
  for (std::thread& thread : shared_->threads) thread.join();
  delete shared_;
}

void Workers::run(int count, Item item, void* context) {
  if (count == 1 || threads_ == 1) {
    for (int i = 0; i < count; i++) item(context, i, 0);
    return;
  }
  if (count <= 0) return;
  Shared& shared = *shared_;
  shared.item = item;
  shared.context = context;
  shared.count = count;
  shared.unfinished.store(count, std::memory_order_relaxed);
  shared.unclaimed.store(count, std::memory_order_release);
  shared.runs.fetch_add(1, std::memory_order_release);
  shared.runs.notify_all();
  shared.work(0);
  int left = shared.unfinished.load(std::memory_order_acquire);
  while (left > 0) left = wait_for_change(shared.unfinished, left);
}

void Workers::reserve(size_t each, size_t shared) {
  for (int t = 0; t < threads_; t++) shared_->scratch[static_cast<size_t>(t)].grow(each);
  shared_->scratch[static_cast<size_t>(threads_)].grow(shared);
}

void* Workers::scratch(int thread) const {
  return shared_->scratch[static_cast<size_t>(thread)].data;
}

void* Workers::shared_scratch() const {
  return shared_->scratch[static_cast<size_t>(threads_)].data;
}

}  // namespace minicpm
