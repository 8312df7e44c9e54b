// The emulated machine: thread blocks of warps of threads, each thread a fiber.
//
// One thread runs at a time and runs on until it waits: at a barrier, in an operation of its warp,
// or at its end. Which one goes on is the schedule's choice, so running under several schedules
// shows what relies on an order; what each may rely on is the checker's business (checker.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <vector>

#include "kernels/simt/cuda_types.h"
#include "kernels/simt/fiber.h"

namespace minicpm::simt {

constexpr int kLanes = 32;
constexpr unsigned kMostThreads = 1024;  // of a block
constexpr uint32_t kWholeWarp = ~uint32_t{0};

/// Which of the threads that could go on does: the lowest as far as it gets, the highest, or any.
enum class Order : uint8_t { ascending, descending, random };

struct Options {
  Order order = Order::ascending;
  uint64_t seed = 1;        // of Order::random
  bool late_copies = true;  // cp.async lands when it is waited for, or at once
  unsigned resident = 1;    // thread blocks in flight together, at most kMostResident
};
extern Options options;

/// What kernels have done since the start, for tests and estimates.
struct Counters {
  uint64_t threads = 0, barriers = 0, shuffles = 0, matrix_products = 0, copies = 0;
};
extern Counters counters;

/// What a thread waits in.
enum class Wait : uint8_t {
  nothing,
  block_barrier,
  warp_barrier,
  shuffle,
  vote,
  match,
  load_matrix,
  matrix_product,
  sleep,
  over,  // the thread has ended
};

/// cp.async: a copy on its way.
struct AsyncCopy {
  std::byte* to;
  const std::byte* from;
  uint32_t bytes, source_bytes;  // the rest becomes zeros
  uint32_t group;
};

struct Block;
struct Warp;

struct Thread {
  uint3 index;
  unsigned linear, lane;
  Block* block;
  Warp* warp;
  FiberPoint point;
  std::byte *stack, *stack_end;

  Wait wait;
  uint32_t mask;      // of the warp operation waited in
  void* arguments;    // of it
  const void* place;  // in the code
  int barrier_result;

  uint64_t clock;         // counts up when it synchronizes
  uint64_t seen[kLanes];  // the clocks of its warp's lanes at its last __syncwarp

  uint32_t copy_groups;  // committed
  std::vector<AsyncCopy> copies;
};

struct Warp {
  Thread* lanes[kLanes];
  uint32_t live, ready, asleep;  // bits of lanes
};

struct Block {
  uint3 index;
  dim3 size, grid;
  unsigned linear, threads, live, arrived, warps;
  unsigned times_woken;    // one after the other, with nothing else to run
  uint64_t launch_number;  // of this block among all blocks that ever ran
  uint64_t last_barrier;   // clock
  int barrier_sum;
  std::byte *shared, *dynamic_shared;
  size_t static_shared_bytes, dynamic_shared_bytes;
  Warp* warp;
  Thread* thread;
};

/// The thread that runs; null in host code.
extern Thread* current;

/// The time, and when the running launch began.
extern uint64_t clock_now, launch_start;

/// A kernel with its arguments, as one function.
struct Entry {
  void (*call)(void* closure);
  void* closure;
  size_t closure_bytes;
};
/// The running launch's: its threads may read it.
extern Entry entry;

/// Runs a grid to its end. Throws Error{kDevice} where a device would refuse the launch.
void run_grid(dim3 grid, dim3 block, size_t dynamic_shared_bytes, const Entry& kernel);

/// Runs the next ready thread; returns when the caller goes on. The caller has said what it waits
/// for.
void yield_thread();

/// The running thread, whose wait is the block's barrier, goes on when all threads are there.
void wait_for_block();

void set_ready(Thread& thread);
void clear_ready(Thread& thread);

/// A CUDA kernel call.
template <typename... Parameters, typename... Arguments>
void launch(dim3 grid, dim3 block, size_t dynamic_shared_bytes, void (*kernel)(Parameters...),
            Arguments&&... arguments) {
  struct Closure {
    void (*kernel)(Parameters...);
    std::tuple<std::decay_t<Parameters>...> arguments;
  } closure{kernel, {static_cast<Parameters>(arguments)...}};
  const auto call = [](void* given) {
    auto& c = *static_cast<Closure*>(given);
    std::apply(c.kernel, c.arguments);
  };
  run_grid(grid, block, dynamic_shared_bytes, {call, &closure, sizeof closure});
}

/// Where one declaration of static shared memory is in the running thread's block.
struct SharedSlot {
  uint64_t launch_number = 0;
  void* address = nullptr;
};
void* place_shared(SharedSlot& slot, size_t bytes, size_t alignment);

/// `Tag`, the type of a lambda, is another one for every declaration and instance of a template.
template <typename T, typename Tag>
T& static_shared(Tag) {
  static SharedSlot slot;
  return *static_cast<T*>(place_shared(slot, sizeof(T), alignof(T)));
}

}  // namespace minicpm::simt
