#include "kernels/simt/machine.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "kernels/error.h"
#include "kernels/simt/checker.h"
#include "kernels/simt/memory.h"

namespace minicpm::simt {

Options options;
Counters counters;
Thread* current = nullptr;
Entry entry;
uint64_t clock_now = 16;  // smaller ones mean something else to the checker
uint64_t launch_start = 16;

namespace {

constexpr size_t kStack = 64 << 10;
constexpr int kPoison = 0xff;
constexpr uint64_t kCanary = 0x5afe57acc0ffee00;  // at the far end of every stack
constexpr size_t kDynamicOffset = 128 << 10;      // of dynamic shared memory in a block's arena
constexpr size_t kGap = 32;  // between shared arrays, so that overruns meet nobody's bytes

uint64_t blocks_launched = 0;

/// xorshift64.
struct Random {
  uint64_t state = 1;

  unsigned below(unsigned count) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return static_cast<unsigned>(state >> 16) % count;
  }
} random;

/// Room for one block in flight: made once, used again and again.
struct Slot {
  Block block{};
  Warp warps[kMostThreads / kLanes];
  std::unique_ptr<Thread[]> threads{new Thread[kMostThreads]};
  std::byte* stacks = nullptr;
  bool busy = false;
};

std::vector<std::unique_ptr<Slot>>& slots() {
  static std::vector<std::unique_ptr<Slot>> all;
  return all;
}

FiberPoint scheduler;

Thread* pick_lane(const Warp& warp) {
  const uint32_t ready = warp.ready;
  switch (options.order) {
    case Order::ascending:
      return warp.lanes[std::countr_zero(ready)];
    case Order::descending:
      return warp.lanes[kLanes - 1 - std::countl_zero(ready)];
    default: {
      const unsigned from = random.below(kLanes);
      return warp.lanes[(from + static_cast<unsigned>(
                                    std::countr_zero(std::rotr(ready, static_cast<int>(from))))) %
                        kLanes];
    }
  }
}

/// The thread of the block that goes on next; null where all wait. Stays in `warp`, where that is
/// given and has work: lanes of one warp run close to each other.
Thread* pick(const Block& block, const Warp* warp) {
  const bool any = options.order == Order::random;
  if (any && random.below(8) == 0) warp = nullptr;
  if (warp && warp->ready) return pick_lane(*warp);
  const unsigned start = any ? random.below(block.warps) : 0;
  for (unsigned i = 0; i < block.warps; i++) {
    unsigned w = (start + i) % block.warps;
    if (options.order == Order::descending) w = block.warps - 1 - w;
    if (block.warp[w].ready) return pick_lane(block.warp[w]);
  }
  return nullptr;
}

/// The last thread of a block has come to a barrier, or has left while the others wait there.
void release_barrier(Block& block) {
  if (block.live != block.threads) {
    const Thread* waiting = block.thread;
    while (waiting->wait == Wait::over) waiting++;
    found(Fault::barrier_after_exit, waiting->place);
  }
  block.arrived = 0;
  block.last_barrier = ++clock_now;
  for (Thread* t = block.thread; t < block.thread + block.threads; t++) {
    if (t->wait == Wait::over) continue;
    t->wait = Wait::nothing;
    t->clock = clock_now;
    t->barrier_result = block.barrier_sum;
    set_ready(*t);
  }
  counters.barriers++;
}

void check_stack(const Thread& t) {
  uint64_t canary;
  std::memcpy(&canary, t.stack, sizeof canary);
  if (canary != kCanary) found(Fault::stack_overflow, nullptr);
}

/// A fiber's first function.
void run_thread() {
  entry.call(entry.closure);
  Thread& t = *current;
  Block& block = *t.block;
  if (!t.copies.empty()) found(Fault::copies_in_flight, nullptr);
  check_stack(t);
  t.wait = Wait::over;
  clear_ready(t);
  t.warp->live &= ~(uint32_t{1} << t.lane);
  block.live--;
  if (block.live && block.arrived == block.live) release_barrier(block);
  yield_thread();
  std::abort();  // nobody resumes a thread that is over
}

void start_thread(Slot& slot, unsigned linear) {
  Block& block = slot.block;
  Thread& t = slot.threads[linear];
  const dim3 size = block.size;
  t.index = {linear % size.x, linear / size.x % size.y, linear / size.x / size.y};
  t.linear = linear, t.lane = linear % kLanes;
  t.block = &block, t.warp = &slot.warps[linear / kLanes];
  t.stack = slot.stacks + linear * kStack;
  // Stacks that start at the same place of a page would fight for the same lines of the cache.
  t.stack_end = t.stack + kStack - linear % 64 * 64;
  std::memcpy(t.stack, &kCanary, sizeof kCanary);
  t.point = new_fiber(t.stack_end, run_thread);
  t.wait = Wait::nothing;
  t.place = nullptr;
  t.clock = clock_now;
  std::fill_n(t.seen, kLanes, 0);
  t.copy_groups = 0;
  t.copies.clear();
  t.warp->lanes[t.lane] = &t;
  t.warp->live |= uint32_t{1} << t.lane;
  set_ready(t);
}

/// Gives the block its shared memory, all of it poison, and takes the block's before it away.
void prepare_shared(Block& block, unsigned slot, size_t dynamic_bytes) {
  block.shared = region_address(slot * kSharedArena + kGap);
  block.dynamic_shared = region_address(slot * kSharedArena + kDynamicOffset);
  mark(block.shared, block.static_shared_bytes, Content::unallocated);
  mark(block.dynamic_shared, block.dynamic_shared_bytes, Content::unallocated);
  std::memset(block.shared, kPoison, block.static_shared_bytes);
  std::memset(block.dynamic_shared, kPoison, std::max(dynamic_bytes, block.dynamic_shared_bytes));
  mark(block.dynamic_shared, dynamic_bytes, Content::uninitialised);
  block.static_shared_bytes = 0;
  block.dynamic_shared_bytes = dynamic_bytes;
}

struct Grid {
  dim3 size, block;
  size_t dynamic_shared_bytes;
};

void start_block(unsigned slot_number, const Grid& grid, unsigned linear) {
  Slot& slot = *slots()[slot_number];
  Block& block = slot.block;
  block.index = {linear % grid.size.x, linear / grid.size.x % grid.size.y,
                 linear / grid.size.x / grid.size.y};
  block.size = grid.block, block.grid = grid.size;
  block.linear = linear;
  block.threads = block.live = grid.block.x * grid.block.y * grid.block.z;
  block.arrived = block.times_woken = 0;
  block.warps = (block.threads + kLanes - 1) / kLanes;
  block.launch_number = ++blocks_launched;
  block.last_barrier = ++clock_now;
  block.warp = slot.warps, block.thread = slot.threads.get();
  prepare_shared(block, slot_number, grid.dynamic_shared_bytes);
  std::fill_n(slot.warps, block.warps, Warp{});
  for (unsigned i = 0; i < block.threads; i++) start_thread(slot, i);
  counters.threads += block.threads;
  slot.busy = true;
}

/// All threads that live wait, and none for something that can come.
void give_up(Block& block) {
  Thread* waiting = block.thread;
  while (waiting->wait == Wait::over) waiting++;
  current = waiting;  // whom the finding names
  found(Fault::deadlock, waiting->place);
  current = nullptr;
  block.live = 0;
}

/// Ends the sleep of those that do; false where there are none, or they sleep over and over while
/// nothing else happens.
bool wake(Block& block) {
  constexpr unsigned kMostTimes = 100'000;
  bool any = false;
  for (Warp* warp = block.warp; warp < block.warp + block.warps; warp++) {
    for (; warp->asleep; warp->asleep &= warp->asleep - 1) {
      Thread& t = *warp->lanes[std::countr_zero(warp->asleep)];
      t.wait = Wait::nothing;
      set_ready(t);
      any = true;
    }
  }
  return any && ++block.times_woken < kMostTimes;
}

/// Lets the threads of the block run until all wait or sleep.
void advance(Block& block) {
  Thread* next = pick(block, nullptr);
  if (next == nullptr && wake(block)) next = pick(block, nullptr);
  if (next == nullptr) return give_up(block);
  current = next;
  switch_fiber(scheduler, next->point);
  current = nullptr;
}

/// The order in which blocks start.
std::vector<unsigned> block_order(unsigned blocks) {
  std::vector<unsigned> order(blocks);
  for (unsigned i = 0; i < blocks; i++) {
    order[i] = options.order == Order::descending ? blocks - 1 - i : i;
  }
  for (unsigned i = blocks; options.order == Order::random && i > 1; i--) {
    std::swap(order[i - 1], order[random.below(i)]);
  }
  return order;
}

void expect_launch(bool holds, const std::string& what) {
  if (!holds) throw Error(ErrorCode::kDevice, "A device would refuse this launch: " + what);
}

}  // namespace

void set_ready(Thread& thread) {
  thread.warp->ready |= uint32_t{1} << thread.lane;
}

void clear_ready(Thread& thread) {
  thread.warp->ready &= ~(uint32_t{1} << thread.lane);
}

void yield_thread() {
  Thread* self = current;
  Thread* next = pick(*self->block, self->warp);
  if (next == self) return;
  current = next;
  switch_fiber(self->point, next ? next->point : scheduler);
}

void wait_for_block() {
  Block& block = *current->block;
  clear_ready(*current);
  block.arrived++;
  if (block.arrived == block.live) release_barrier(block);
  yield_thread();
}

void* place_shared(SharedSlot& slot, size_t bytes, size_t alignment) {
  Block& block = *current->block;
  if (slot.launch_number != block.launch_number) {
    slot.launch_number = block.launch_number;
    alignment = std::max<size_t>(alignment, 16);
    const size_t at = (block.static_shared_bytes + alignment - 1) / alignment * alignment;
    slot.address = block.shared + at;
    block.static_shared_bytes = at + bytes + kGap;
    if (block.static_shared_bytes > kMostStaticShared) std::abort();
    std::memset(slot.address, kPoison, bytes);
    mark(slot.address, bytes, Content::uninitialised);
  }
  return slot.address;
}

void run_grid(dim3 grid, dim3 block, size_t dynamic_shared_bytes, const Entry& kernel) {
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  const uint64_t blocks = uint64_t{grid.x} * grid.y * grid.z;
  expect_launch(threads > 0 && threads <= kMostThreads,
                std::to_string(threads) + " threads in a block, of 1 to 1024");
  expect_launch(block.z <= 64 && grid.y <= 65535 && grid.z <= 65535, "a dimension is too large");
  expect_launch(blocks > 0, "a grid without blocks");
  expect_launch(dynamic_shared_bytes <= kMostShared,
                std::to_string(dynamic_shared_bytes) + " bytes of shared memory");
  if (blocks >= 1 << 19) throw Error(ErrorCode::kDevice, "The emulator has at most 524287 blocks.");

  entry = kernel;
  random.state = options.seed * 0x9e3779b97f4a7c15 + 0x139408dcbbf7a44d;
  launch_start = ++clock_now;
  const auto resident = static_cast<unsigned>(
      std::min<uint64_t>({std::max(options.resident, 1u), blocks, kMostResident}));
  while (slots().size() < resident) {
    slots().push_back(std::make_unique<Slot>());
    slots().back()->stacks =  // pages come when they are written
        static_cast<std::byte*>(std::aligned_alloc(4096, kMostThreads * kStack));
    if (slots().back()->stacks == nullptr) throw std::bad_alloc();
  }

  const std::vector<unsigned> order = block_order(static_cast<unsigned>(blocks));
  const Grid shape{grid, block, dynamic_shared_bytes};
  size_t next = 0;
  for (unsigned s = 0; s < resident; s++) start_block(s, shape, order[next++]);
  for (bool running = true; running;) {
    running = false;
    for (unsigned s = 0; s < resident; s++) {
      Slot& slot = *slots()[s];
      if (!slot.busy) continue;
      running = true;
      if (slot.block.live) {
        advance(slot.block);
      } else if (next < order.size()) {
        start_block(s, shape, order[next++]);
      } else {
        slot.busy = false;
      }
    }
  }
  entry = {};
}

}  // namespace minicpm::simt
