// What the lanes of a warp do together: shuffles, votes, matches, sums.
#include <algorithm>

#include "test/ptx/lanes.h"

namespace minicpm::ptx {

namespace {

/// The mask of lanes, which is the last operand, the same for all.
uint32_t mask_of(Warp& warp, const Instruction& instruction, uint32_t active) {
  const uint64_t* masks = warp.row(instruction.operands.back().row);
  const auto mask = static_cast<uint32_t>(masks[std::countr_zero(active)]);
  for_lanes(active, [&](unsigned lane) {
    if (static_cast<uint32_t>(masks[lane]) != mask) warp.fault("lanes give different masks");
  });
  return mask;
}

/// Which lane `lane` reads from, and whether it may; b is the distance or lane, c as PTX has it:
/// clamp | segment mask << 8.
enum class Shuffle { up, down, bfly, idx };

template <Shuffle kMode>
std::pair<unsigned, bool> source_of(unsigned lane, unsigned b, unsigned c) {
  const unsigned segment = c >> 8 & 31, clamp = c & 31;
  const unsigned first = lane & segment, last = first | (clamp & ~segment);
  b &= 31;
  if (kMode == Shuffle::up) {
    const bool inside = lane >= b && lane - b >= last;  // the clamp is the first lane here
    return {inside ? lane - b : lane, inside};
  }
  const unsigned from = kMode == Shuffle::down   ? lane + b
                        : kMode == Shuffle::bfly ? lane ^ b
                                                 : first | (b & ~segment);
  return {from <= last ? from : lane, from <= last};
}

template <Shuffle kMode>
Outcome shuffle(Warp& warp, const Instruction& instruction, uint32_t active) {
  const auto& operands = instruction.operands;  // d|p, a, b, c, mask
  const uint32_t mask = mask_of(warp, instruction, active);
  if (!warp.together(active, mask)) return Outcome::waits;
  uint64_t given[kLanes];
  std::copy_n(warp.row(operands[1].row), kLanes, given);
  const uint64_t *b = warp.row(operands[2].row), *c = warp.row(operands[3].row);
  std::pair<unsigned, bool> sources[kLanes];
  for_lanes(active, [&](unsigned lane) {
    sources[lane] =
        source_of<kMode>(lane, static_cast<unsigned>(b[lane]), static_cast<unsigned>(c[lane]));
    if (!(active >> sources[lane].first & 1)) warp.fault("reads from a lane that takes no part");
  });
  for_lanes(active, [&](unsigned lane) {
    if (operands[0].kind == Operand::Kind::row) {
      warp.row(operands[0].row)[lane] = given[sources[lane].first];
    }
    if (operands[0].second >= 0) warp.row(operands[0].second)[lane] = sources[lane].second;
  });
  return Outcome::done;
}

/// `Decide` makes the result of the lanes whose predicate is true, of those that vote.
template <typename Decide>
Outcome vote(Warp& warp, const Instruction& instruction, uint32_t active) {
  const Operand& predicate = instruction.operands[1];
  if (!warp.together(active, mask_of(warp, instruction, active))) return Outcome::waits;
  uint32_t yes = 0;
  for_lanes(active, [&](unsigned lane) {
    const bool is = (warp.row(predicate.row)[lane] & 1) != predicate.negated;
    yes |= static_cast<uint32_t>(is) << lane;
  });
  for_lanes(active, [&](unsigned lane) {
    warp.row(instruction.operands[0].row)[lane] = Decide{}(yes, active);
  });
  return Outcome::done;
}

/// The lanes that have the same number.
Outcome match(Warp& warp, const Instruction& instruction, uint32_t active) {
  if (!warp.together(active, mask_of(warp, instruction, active))) return Outcome::waits;
  uint64_t given[kLanes];
  std::copy_n(warp.row(instruction.operands[1].row), kLanes, given);
  for_lanes(active, [&](unsigned lane) {
    uint64_t same = 0;
    for_lanes(active, [&](unsigned other) {
      same |= static_cast<uint64_t>(given[other] == given[lane]) << other;
    });
    warp.row(instruction.operands[0].row)[lane] = same;
  });
  return Outcome::done;
}

template <typename T, typename Combine>
Outcome reduce(Warp& warp, const Instruction& instruction, uint32_t active) {
  if (!warp.together(active, mask_of(warp, instruction, active))) return Outcome::waits;
  const uint64_t* given = warp.row(instruction.operands[1].row);
  auto result = number_of<T>(given[std::countr_zero(active)]);
  for_lanes(active & (active - 1),
            [&](unsigned lane) { result = Combine{}(result, number_of<T>(given[lane])); });
  const uint64_t bits = bits_of_number(result) & 0xffffffff;
  for_lanes(active, [&](unsigned lane) { warp.row(instruction.operands[0].row)[lane] = bits; });
  return Outcome::done;
}

Outcome meet(Warp& warp, const Instruction& instruction, uint32_t active) {
  const bool all = warp.together(active, mask_of(warp, instruction, active));
  return all ? Outcome::done : Outcome::waits;
}

Outcome active_mask(Warp& warp, const Instruction& instruction, uint32_t active) {
  for_lanes(active, [&](unsigned lane) { warp.row(instruction.operands[0].row)[lane] = active; });
  return Outcome::done;
}

}  // namespace

void add_warp_forms(Forms& forms) {
  forms.add({"shfl.sync.up.b32", "essss", shuffle<Shuffle::up>});
  forms.add({"shfl.sync.down.b32", "essss", shuffle<Shuffle::down>});
  forms.add({"shfl.sync.bfly.b32", "essss", shuffle<Shuffle::bfly>});
  forms.add({"shfl.sync.idx.b32", "essss", shuffle<Shuffle::idx>});

  const auto ballot = [](uint32_t yes, uint32_t) { return yes; };
  const auto all = [](uint32_t yes, uint32_t lanes) { return uint32_t{yes == lanes}; };
  const auto any = [](uint32_t yes, uint32_t) { return uint32_t{yes != 0}; };
  forms.add({"vote.sync.ballot.b32", "dbs", vote<decltype(ballot)>});
  forms.add({"vote.sync.all.pred", "dbs", vote<decltype(all)>});
  forms.add({"vote.sync.any.pred", "dbs", vote<decltype(any)>});
  forms.add({"match.any.sync.b32", "dss", match});
  forms.add({"match.any.sync.b64", "dss", match});

  const auto add = []<typename T>(T a, T b) -> T { return a + b; };
  const auto least = [](auto a, auto b) { return std::min(a, b); };
  const auto most = [](auto a, auto b) { return std::max(a, b); };
  const auto both = [](auto a, auto b) { return a & b; };
  const auto either = [](auto a, auto b) { return a | b; };
  forms.add({"redux.sync.add.u32", "dss", reduce<uint32_t, decltype(add)>});
  forms.add({"redux.sync.add.s32", "dss", reduce<uint32_t, decltype(add)>});
  forms.add({"redux.sync.min.u32", "dss", reduce<uint32_t, decltype(least)>});
  forms.add({"redux.sync.min.s32", "dss", reduce<int32_t, decltype(least)>});
  forms.add({"redux.sync.max.u32", "dss", reduce<uint32_t, decltype(most)>});
  forms.add({"redux.sync.max.s32", "dss", reduce<int32_t, decltype(most)>});
  forms.add({"redux.sync.and.b32", "dss", reduce<uint32_t, decltype(both)>});
  forms.add({"redux.sync.or.b32", "dss", reduce<uint32_t, decltype(either)>});

  forms.add({"bar.warp.sync", "s", meet});
  forms.add({"activemask.b32", "d", active_mask});
}

}  // namespace minicpm::ptx
