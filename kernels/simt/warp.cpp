#include "kernels/simt/warp.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "kernels/half.h"
#include "kernels/simt/checker.h"
#include "kernels/simt/machine.h"
#include "kernels/simt/memory.h"

// Where a function was called from: the kernel's line.
#define MINICPM_PLACE __builtin_return_address(0)

namespace minicpm::simt {

namespace {

/// Calls `action` for every lane of `mask`.
template <typename Action>
void for_lanes(uint32_t mask, Action action) {
  for (; mask; mask &= mask - 1) action(static_cast<unsigned>(std::countr_zero(mask)));
}

/// What a lane gave to the operation that it waits in.
template <typename Arguments>
Arguments& arguments_of(const Warp& warp, unsigned lane) {
  return *static_cast<Arguments*>(warp.lanes[lane]->arguments);
}

/// Waits for the lanes of `mask`; the last one runs `work` for all.
void meet(Wait wait, uint32_t mask, void* arguments, const void* place,
          void (*work)(Warp&, uint32_t mask)) {
  Thread& self = *current;
  Warp& warp = *self.warp;
  const uint32_t bit = uint32_t{1} << self.lane;
  if (!(mask & bit)) found(Fault::not_in_mask, place);
  if (mask & ~warp.live) found(Fault::mask_names_exited, place);
  mask = (mask & warp.live) | bit;
  self.wait = wait, self.mask = mask, self.arguments = arguments, self.place = place;
  clear_ready(self);
  bool all_here = true;
  for_lanes(mask & ~bit, [&](unsigned lane) {
    const Thread& other = *warp.lanes[lane];
    if (other.wait == wait && other.mask == mask) return;
    all_here = false;
    const bool elsewhere = other.wait != Wait::nothing && other.wait != Wait::block_barrier &&
                           other.wait != Wait::sleep && other.mask & bit;
    if (elsewhere) {
      found(Fault::different_operations, nullptr, 0, code_offset(place), code_offset(other.place));
    }
  });
  if (!all_here) return yield_thread();
  work(warp, mask);
  for_lanes(mask, [&](unsigned lane) {
    warp.lanes[lane]->wait = Wait::nothing;
    set_ready(*warp.lanes[lane]);
  });
}

struct Shuffle {
  void* value;
  size_t size;
  unsigned source;
  bool moves;
  unsigned char before[16];
};

void shuffle_lanes(Warp& warp, uint32_t mask) {
  constexpr int kUndefined = 0xa5;  // what a lane gets from one that takes no part
  for_lanes(mask, [&](unsigned lane) {
    auto& x = arguments_of<Shuffle>(warp, lane);
    std::memcpy(x.before, x.value, x.size);
  });
  for_lanes(mask, [&](unsigned lane) {
    auto& x = arguments_of<Shuffle>(warp, lane);
    if (!x.moves) return;
    if (mask >> x.source & 1) {
      std::memcpy(x.value, arguments_of<Shuffle>(warp, x.source).before, x.size);
    } else {
      std::memset(x.value, kUndefined, x.size);
    }
  });
  counters.shuffles++;
}

struct Vote {
  uint64_t value;
  uint32_t lanes;
};

void ballot_lanes(Warp& warp, uint32_t mask) {
  uint32_t lanes = 0;
  for_lanes(mask, [&](unsigned lane) {
    lanes |= static_cast<uint32_t>(arguments_of<Vote>(warp, lane).value) << lane;
  });
  for_lanes(mask, [&](unsigned lane) { arguments_of<Vote>(warp, lane).lanes = lanes; });
}

void match_lanes(Warp& warp, uint32_t mask) {
  for_lanes(mask, [&](unsigned lane) {
    auto& x = arguments_of<Vote>(warp, lane);
    for_lanes(mask, [&](unsigned other) {
      const bool same = arguments_of<Vote>(warp, other).value == x.value;
      x.lanes |= static_cast<uint32_t>(same) << other;
    });
  });
}

/// Each lane has now seen all that the others did before.
void join_clocks(Warp& warp, uint32_t mask) {
  uint64_t seen[kLanes] = {};
  for_lanes(mask, [&](unsigned lane) {
    for (int i = 0; i < kLanes; i++) seen[i] = std::max(seen[i], warp.lanes[lane]->seen[i]);
  });
  for_lanes(mask, [&](unsigned lane) { seen[lane] = warp.lanes[lane]->clock; });
  clock_now++;
  for_lanes(mask, [&](unsigned lane) {
    std::copy_n(seen, kLanes, warp.lanes[lane]->seen);
    warp.lanes[lane]->clock = clock_now;
  });
}

void land(const AsyncCopy& copy) {
  std::memcpy(copy.to, copy.from, copy.source_bytes);
  std::memset(copy.to + copy.source_bytes, 0, copy.bytes - copy.source_bytes);
}

template <typename D>
struct Product {
  D* d;
  const uint32_t *a, *b;
};

/// One m16 n8 product of fragments whose registers hold `Packed` numbers each: a [16][k] in rows, b
/// [k][8] in columns, d [16][8].
template <typename D, int kPacked, typename WidenA, typename WidenB>
void multiply_lanes(Warp& warp, uint32_t mask, WidenA widen_a, WidenB widen_b) {
  constexpr int kDepth = 8 * kPacked, kBits = 32 / kPacked;
  if (mask != kWholeWarp) return found(Fault::partial_warp, current->place);
  D a[16][kDepth], b[kDepth][8], d[16][8];
  const auto each = [&](auto action) {
    for (int lane = 0; lane < kLanes; lane++) {
      action(arguments_of<Product<D>>(warp, static_cast<unsigned>(lane)), lane / 4, lane % 4);
    }
  };
  each([&](Product<D>& x, int row, int column) {
    for (int i = 0; i < kPacked; i++) {
      const int k = column * kPacked + i;
      for (int r = 0; r < 4; r++) {
        a[row + r % 2 * 8][k + r / 2 * 4 * kPacked] = widen_a(x.a[r] >> (kBits * i));
      }
      for (int r = 0; r < 2; r++) b[k + r * 4 * kPacked][row] = widen_b(x.b[r] >> (kBits * i));
    }
    for (int r = 0; r < 4; r++) d[row + r / 2 * 8][column * 2 + r % 2] = x.d[r];
  });
  for (int i = 0; i < 16; i++) {
    for (int k = 0; k < kDepth; k++) {
      for (int j = 0; j < 8; j++) d[i][j] += a[i][k] * b[k][j];
    }
  }
  each([&](Product<D>& x, int row, int column) {
    for (int r = 0; r < 4; r++) x.d[r] = d[row + r / 2 * 8][column * 2 + r % 2];
  });
  counters.matrix_products++;
}

struct MatrixLoad {
  uint32_t* registers;
  const std::byte* row;
  bool transposed;
};

void load_lanes(Warp& warp, uint32_t mask) {
  if (mask != kWholeWarp) return found(Fault::partial_warp, current->place);
  Thread* self = current;
  for (unsigned matrix = 0; matrix < 4; matrix++) {
    uint16_t rows[8][8];
    for (unsigned r = 0; r < 8; r++) {
      Thread* lane = warp.lanes[matrix * 8 + r];
      const std::byte* row = static_cast<MatrixLoad*>(lane->arguments)->row;
      current = lane;  // whose access it is
      if (!is_shared(region_offset(row))) found(Fault::not_shared_memory, lane->place);
      check_access(row, 16, Access::read, lane->place);
      current = self;
      std::memcpy(rows[r], row, 16);
    }
    for (unsigned lane = 0; lane < kLanes; lane++) {
      auto& x = arguments_of<MatrixLoad>(warp, lane);
      const unsigned row = lane / 4, column = lane % 4 * 2;
      const uint32_t low = x.transposed ? rows[column][row] : rows[row][column];
      const uint32_t high = x.transposed ? rows[column + 1][row] : rows[row][column + 1];
      x.registers[matrix] = low | high << 16;
    }
  }
}

}  // namespace

int block_barrier(Combine combine, bool predicate) {
  Thread& self = *current;
  Block& block = *self.block;
  if (block.arrived == 0) block.barrier_sum = combine == Combine::all;
  if (combine == Combine::all) block.barrier_sum &= predicate;
  if (combine == Combine::any) block.barrier_sum |= predicate;
  if (combine == Combine::count) block.barrier_sum += predicate;
  self.wait = Wait::block_barrier;
  self.place = MINICPM_PLACE;
  wait_for_block();
  return self.barrier_result;
}

void warp_barrier(uint32_t mask) {
  meet(Wait::warp_barrier, mask, nullptr, MINICPM_PLACE, join_clocks);
}

void shuffle(uint32_t mask, void* value, size_t size, unsigned source, bool moves) {
  Shuffle x{value, size, source, moves, {}};
  meet(Wait::shuffle, mask, &x, MINICPM_PLACE, shuffle_lanes);
}

uint32_t ballot(uint32_t mask, bool predicate) {
  Vote x{predicate, 0};
  meet(Wait::vote, mask, &x, MINICPM_PLACE, ballot_lanes);
  return x.lanes;
}

uint32_t match(uint32_t mask, uint64_t value) {
  Vote x{value, 0};
  meet(Wait::match, mask, &x, MINICPM_PLACE, match_lanes);
  return x.lanes;
}

void sleep_thread() {
  Thread& self = *current;
  self.wait = Wait::sleep;
  self.place = MINICPM_PLACE;
  clear_ready(self);
  self.warp->asleep |= uint32_t{1} << self.lane;
  yield_thread();
}

void async_copy(void* to, const void* from, uint32_t bytes, uint32_t source_bytes) {
  Thread& self = *current;
  const void* place = MINICPM_PLACE;
  check_access(to, bytes, Access::write, place);  // in use from now on
  if (source_bytes) check_access(from, source_bytes, Access::read, place);
  check_alignment(from, bytes, place);
  if (!is_shared(region_offset(to))) found(Fault::not_shared_memory, place);
  self.copies.push_back({static_cast<std::byte*>(to), static_cast<const std::byte*>(from), bytes,
                         source_bytes, self.copy_groups});
  counters.copies++;
  if (options.late_copies) {
    std::memset(to, 0xff, bytes);
  } else {
    land(self.copies.back());
  }
  mark(to, bytes, Content::uninitialised);  // nobody may read it before the wait
}

void async_commit() {
  current->copy_groups++;
}

void async_wait(uint32_t keep) {
  Thread& self = *current;
  const void* place = MINICPM_PLACE;
  std::erase_if(self.copies, [&](const AsyncCopy& copy) {
    if (copy.group + keep >= self.copy_groups) return false;
    if (options.late_copies) land(copy);
    mark_written(copy.to, copy.bytes, place);
    return true;
  });
}

void load_16(void* to, const void* from) {
  check_access(from, 16, Access::read, MINICPM_PLACE);
  std::memcpy(to, from, 16);
}

void store_16(void* to, const void* from) {
  check_access(to, 16, Access::write, MINICPM_PLACE);
  std::memcpy(to, from, 16);
}

void atomic_change(void* address, size_t size, void* old,
                   void (*change)(void* context, const void* old, void* changed), void* context) {
  check_access(address, size, Access::atomic, MINICPM_PLACE);
  uint64_t changed;
  std::memcpy(old, address, size);
  change(context, old, &changed);
  std::memcpy(address, &changed, size);
}

void multiply_f16(float* d, const uint32_t* a, const uint32_t* b) {
  Product<float> x{d, a, b};
  meet(Wait::matrix_product, kWholeWarp, &x, MINICPM_PLACE, [](Warp& warp, uint32_t mask) {
    const auto widen = [](uint32_t bits) { return f16_to_f32(static_cast<uint16_t>(bits)); };
    multiply_lanes<float, 2>(warp, mask, widen, widen);
  });
}

void multiply_bf16(float* d, const uint32_t* a, const uint32_t* b) {
  Product<float> x{d, a, b};
  meet(Wait::matrix_product, kWholeWarp, &x, MINICPM_PLACE, [](Warp& warp, uint32_t mask) {
    const auto widen = [](uint32_t bits) { return bf16_to_f32(static_cast<uint16_t>(bits)); };
    multiply_lanes<float, 2>(warp, mask, widen, widen);
  });
}

void multiply_u8_s8(int32_t* d, const uint32_t* a, const uint32_t* b) {
  Product<int32_t> x{d, a, b};
  meet(Wait::matrix_product, kWholeWarp, &x, MINICPM_PLACE, [](Warp& warp, uint32_t mask) {
    multiply_lanes<int32_t, 4>(
        warp, mask, [](uint32_t bits) { return static_cast<int32_t>(bits & 255); },
        [](uint32_t bits) { return int32_t{static_cast<int8_t>(bits)}; });
  });
}

void load_matrix(uint32_t* registers, const void* row, bool transposed) {
  MatrixLoad x{registers, static_cast<const std::byte*>(row), transposed};
  meet(Wait::load_matrix, kWholeWarp, &x, MINICPM_PLACE, load_lanes);
}

}  // namespace minicpm::simt
