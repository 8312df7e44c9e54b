// Read-modify-write on memory. Lanes and blocks take their turns, so every one is whole.
#include <algorithm>
#include <cstring>

#include "test/ptx/block.h"
#include "test/ptx/lanes.h"

namespace minicpm::ptx {

namespace {

/// atom d, [m], b or atom.cas d, [m], b, c; red [m], b. `Change` makes the new number.
template <typename T, typename Change, bool kGives>
Outcome change_memory(Warp& warp, const Instruction& instruction, uint32_t active) {
  const Form& form = *instruction.form;
  const auto* operands = instruction.operands.data() + (kGives ? 1 : 0);
  for_lanes(active, [&](unsigned lane) {
    const uint64_t base = operands[0].row >= 0 ? warp.row(operands[0].row)[lane] : 0;
    std::byte* at =
        warp.block().reach(warp, form.space, base + static_cast<uint64_t>(operands[0].offset),
                           sizeof(T), Access::change);
    const auto b = number_of<T>(warp.row(operands[1].row)[lane]);
    const auto c =
        form.operands.ends_with("ss") ? number_of<T>(warp.row(operands[2].row)[lane]) : T{};
    T before;
    std::memcpy(&before, at, sizeof(T));
    const T after = Change{}(before, b, c);
    std::memcpy(at, &after, sizeof(T));
    const Operand& gives = instruction.operands[0];
    if (kGives && gives.kind == Operand::Kind::row) {
      warp.row(gives.row)[lane] = bits_of_number(before) & gives.mask;
    }
  });
  return Outcome::done;
}

constexpr std::pair<const char*, Space> kSpaces[] = {
    {"", Space::generic}, {".global", Space::global}, {".shared", Space::shared}};

template <typename T, typename Change>
void add_change(Forms& forms, const std::string& change, const std::string& type, Change,
                bool with_red = true) {
  const bool compares = change == "cas";
  for (const auto& [space, kind] : kSpaces) {
    const std::string name = space + ("." + change) + "." + type;
    Form gives{"atom" + name, compares ? "emss" : "ems", change_memory<T, Change, true>};
    gives.space = kind;
    forms.add(gives);
    if (!with_red) continue;
    Form red{"red" + name, "ms", change_memory<T, Change, false>};
    red.space = kind;
    forms.add(red);
  }
}

}  // namespace

void add_atomic_forms(Forms& forms) {
  const auto add = []<typename T>(T a, T b, T) -> T { return a + b; };
  const auto least = []<typename T>(T a, T b, T) -> T { return std::min(a, b); };
  const auto most = []<typename T>(T a, T b, T) -> T { return std::max(a, b); };
  add_change<uint32_t>(forms, "add", "u32", add);
  add_change<int32_t>(forms, "add", "s32", add);
  add_change<uint64_t>(forms, "add", "u64", add);
  add_change<float>(forms, "add", "f32", add);
  add_change<uint32_t>(forms, "min", "u32", least);
  add_change<int32_t>(forms, "min", "s32", least);
  add_change<uint32_t>(forms, "max", "u32", most);
  add_change<int32_t>(forms, "max", "s32", most);
  add_change<uint32_t>(forms, "and", "b32", [](auto a, auto b, auto) { return a & b; });
  add_change<uint32_t>(forms, "or", "b32", [](auto a, auto b, auto) { return a | b; });
  const auto exchange = [](auto, auto b, auto) { return b; };
  const auto compare = [](auto a, auto b, auto c) { return a == b ? c : a; };
  add_change<uint32_t>(forms, "exch", "b32", exchange, false);
  add_change<uint64_t>(forms, "exch", "b64", exchange, false);
  add_change<uint32_t>(forms, "cas", "b32", compare, false);
  add_change<uint64_t>(forms, "cas", "b64", compare, false);
}

}  // namespace minicpm::ptx
