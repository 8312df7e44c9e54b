#include "test/ptx/warp.h"

#include <algorithm>
#include <climits>
#include <cstring>

#include "test/ptx/block.h"

namespace minicpm::ptx {

namespace {

constexpr int kTurn = 20000;  // instructions until others have theirs: a lane may wait for them
constexpr uint64_t kUnset = 0xdeadbeefdeadbeef;

}  // namespace

Warp::Warp(Block& block, unsigned index)
    : block_(block),
      index_(index),
      registers_(static_cast<size_t>(block.kernel().rows) * kLanes, kUnset) {
  const Kernel& kernel = block.kernel();
  for (const auto& [at, number] : kernel.constants) std::fill_n(row(at), kLanes, number);
}

void Warp::start(unsigned threads) {
  live_ = threads >= kLanes ? kAllLanes : (1u << threads) - 1;
  at_barrier_ = waiting_ = 0;
  for (unsigned lane = 0; lane < kLanes; lane++) {
    at_[lane] = 0;
    copies[lane].clear();
    copy_groups[lane] = 0;
    for (const auto& [at, special] : block_.kernel().specials) {
      row(at)[lane] =
          special == Special::laneid ? lane : block_.special(special, index_ * kLanes + lane);
    }
  }
}

bool Warp::advance() {
  bool moved = false;
  for (int budget = kTurn; budget > 0;) {
    const uint32_t runnable = live_ & ~at_barrier_ & ~waiting_;
    if (!runnable) return moved;
    int at = INT_MAX;
    for_lanes(runnable, [&](unsigned lane) { at = std::min(at, at_[lane]); });
    uint32_t group = 0;
    for_lanes(live_ & ~at_barrier_, [&](unsigned lane) {
      if (at_[lane] == at) group |= 1u << lane;
    });
    waiting_ &= ~group;  // those who waited here go on with the ones who have come
    moved |= run_group(group, at, budget);
  }
  return true;
}

/// Where others wait or will come by: the group stops there to take them along.
int Warp::next_stop(uint32_t group, int at) const {
  int stop = INT_MAX;
  for_lanes(live_ & ~at_barrier_ & ~group, [&](unsigned lane) {
    const bool passed = waiting_ >> lane & 1 && at_[lane] <= at;
    if (!passed) stop = std::min(stop, at_[lane]);
  });
  return stop;
}

bool Warp::run_group(uint32_t group, int at, int& budget) {
  const int stop = next_stop(group, at);
  const auto& code = block_.kernel().code;
  for (bool moved = false;; moved = true) {
    if (static_cast<size_t>(at) >= code.size()) fault("the kernel ends without ret");
    const Instruction& instruction = code[static_cast<size_t>(at)];
    running_ = &instruction;
    instruction.has_run = true;
    uint32_t active = group;
    if (instruction.guard >= 0) {
      const uint64_t* guard = row(instruction.guard);
      active = 0;
      for_lanes(group, [&](unsigned lane) {
        active |= static_cast<uint32_t>((guard[lane] & 1) != instruction.guard_negated) << lane;
      });
    }
    budget--;
    counters.instructions++;
    counters.lane_instructions += static_cast<uint64_t>(std::popcount(active));
    if (counting) counters.by_opcode[instruction.form->name]++;
    int next = at + 1;
    if (active) {
      switch (instruction.form->kind) {
        case Form::Kind::branch:
          next = instruction.target;
          if (active != group) {
            counters.divergent_branches++;
            place_lanes(active, next);
            place_lanes(group & ~active, at + 1);
            return true;
          }
          break;
        case Form::Kind::exit:
          end_lanes(active);
          group &= ~active;
          if (!group) return true;
          break;
        case Form::Kind::barrier:
          at_barrier_ |= active;
          for_lanes(active, [&](unsigned lane) { barrier_[lane] = &instruction; });
          place_lanes(group, next);
          return true;
        case Form::Kind::plain:
          if (instruction.form->run(*this, instruction, active) == Outcome::waits) {
            waiting_ |= group;
            place_lanes(group, at);
            return moved;
          }
      }
    }
    const bool jumped = next != at + 1;
    at = next;
    if (jumped || at >= stop || budget <= 0) {
      place_lanes(group, at);
      return true;
    }
  }
}

unsigned Warp::votes() const {
  unsigned yes = 0;
  for_lanes(at_barrier_, [&](unsigned lane) {
    if (!barrier_[lane]->form->combine) return;
    const Operand& predicate = barrier_[lane]->operands[2];
    const uint64_t* row = &registers_[static_cast<size_t>(predicate.row) * kLanes];
    yes += (row[lane] & 1) != predicate.negated;
  });
  return yes;
}

void Warp::pass_barrier(unsigned yes, unsigned all) {
  for_lanes(at_barrier_, [&](unsigned lane) {
    const Instruction& barrier = *barrier_[lane];
    if (!barrier.form->combine) return;
    row(barrier.operands[0].row)[lane] = barrier.form->combine(yes, all);
  });
  at_barrier_ = 0;
}

void Warp::place_lanes(uint32_t lanes, int at) {
  for_lanes(lanes, [&](unsigned lane) { at_[lane] = at; });
}

void Warp::end_lanes(uint32_t lanes) {
  for_lanes(lanes, [&](unsigned lane) {
    if (!copies[lane].empty()) fault("a thread ends with copies that it has not waited for");
  });
  live_ &= ~lanes;
  waiting_ = 0;  // those who wait look again: who has ended is not waited for
}

bool Warp::together(uint32_t active, uint32_t mask) {
  if (active & ~mask) fault("a lane is not in its own mask");
  return (active & mask & live_) == (mask & live_);
}

void Warp::add_places(std::vector<int>& lines) const {
  for_lanes(live_, [&](unsigned lane) {
    const auto& code = block_.kernel().code;
    const bool barrier = at_barrier_ >> lane & 1;
    lines.push_back(barrier ? barrier_[lane]->line : code[static_cast<size_t>(at_[lane])].line);
  });
}

void Warp::fault(const std::string& why, Fault::Kind kind) const {
  throw Fault(kind, block_.name() + ", PTX line " + std::to_string(running_->line) + " (" +
                        running_->form->name + "): " + why);
}

void Warp::land_copies(unsigned lane, uint32_t keep_groups) {
  std::erase_if(copies[lane], [&](const AsyncCopy& copy) {
    if (copy.group + keep_groups >= copy_groups[lane]) return false;
    std::byte* to = block_.reach(*this, Space::shared, copy.to, copy.bytes, Access::write);
    if (copy.source_bytes > 0) {
      const std::byte* from =
          block_.reach(*this, Space::global, copy.from, copy.bytes, Access::read);
      std::memcpy(to, from, copy.source_bytes);
    }
    std::memset(to + copy.source_bytes, 0, copy.bytes - copy.source_bytes);
    return true;
  });
}

}  // namespace minicpm::ptx
