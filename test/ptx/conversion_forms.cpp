// From one kind of number to another, and from registers to registers.
#include <algorithm>
#include <cmath>
#include <limits>

#include "test/ptx/lanes.h"

namespace minicpm::ptx {

namespace {

constexpr const char* kIntegers = "s8 u8 s16 u16 s32 u32 s64 u64";

/// A whole number to one that D can hold; a NaN gives 0, in 64 bits the sign.
template <typename D>
D clamped(double whole) {
  using Limits = std::numeric_limits<D>;
  if (std::isnan(whole)) return sizeof(D) == 8 ? static_cast<D>(uint64_t{1} << 63) : 0;
  const double end = std::ldexp(1.0, Limits::digits);
  if (whole >= end) return Limits::max();
  if (whole < static_cast<double>(Limits::min())) return Limits::min();
  return static_cast<D>(whole);
}

/// Forms that round to whole numbers, as integers and as floats.
template <typename Round>
void add_rounding(Forms& forms, const std::string& mode, Round) {
  for_integer_types(kIntegers, [&]<typename D>(const std::string& to, D) {
    const std::string name = "cvt." + mode + "." + to;
    forms.floats(name, "f32 f64",
                 []<typename T>(T a) -> D { return clamped<D>(Round{}(static_cast<double>(a))); });
  });
  forms.one("cvt." + mode + ".f32.f32", [](float a) -> float { return Round{}(a); });
  forms.one("cvt." + mode + ".f64.f64", [](double a) -> double { return Round{}(a); });
}

void add_between_integers(Forms& forms) {
  for_integer_types(kIntegers, [&]<typename D>(const std::string& to, D) {
    forms.integers("cvt." + to, kIntegers, []<typename S>(S a) -> D { return static_cast<D>(a); });
  });
}

/// `high` above `low`.
uint32_t pair(uint16_t high, uint16_t low) {
  return static_cast<uint32_t>(high) << 16 | low;
}

/// mov: one register, or several that are parts of one; a list of one type is parts of the other.
template <unsigned kBits>
Outcome move(Warp& warp, const Instruction& instruction, uint32_t active) {
  const Operand &to = instruction.operands[0], &from = instruction.operands[1];
  const auto part = [](const std::vector<Operand>& list) {
    return kBits / static_cast<unsigned>(list.size());
  };
  for_lanes(active, [&](unsigned lane) {
    uint64_t bits = 0;
    if (from.kind == Operand::Kind::list) {
      for (size_t i = from.list.size(); i-- > 0;) {
        bits = bits << part(from.list) | warp.row(from.list[i].row)[lane];
      }
    } else {
      bits = warp.row(from.row)[lane];
    }
    if (to.kind != Operand::Kind::list) {
      warp.row(to.row)[lane] = bits & to.mask;
      return;
    }
    for (const Operand& piece : to.list) {
      if (piece.kind == Operand::Kind::row) warp.row(piece.row)[lane] = bits & piece.mask;
      bits >>= part(to.list);
    }
  });
  return Outcome::done;
}

void add_moves(Forms& forms) {
  for (const char* type : {"b16", "u16", "s16"}) {
    forms.add({std::string("mov.") + type, "ds", move<16>});
  }
  for (const char* type : {"u32", "s32", "f32", "u64", "s64", "f64"}) {
    forms.add({std::string("mov.") + type, "ds", move<64>});
  }
  forms.add({"mov.b32", "vv", move<32>});
  forms.add({"mov.b64", "vv", move<64>});
  forms.one("mov.pred", [](bool a) -> bool { return a; });
  // Addresses of device memory are the same in both spaces; shared memory has a window.
  forms.one("cvta.to.global.u64", [](uint64_t a) -> uint64_t { return a; });
  forms.one("cvta.global.u64", [](uint64_t a) -> uint64_t { return a; });
  forms.one("cvta.shared.u64", [](uint64_t a) -> uint64_t { return a + kSharedWindow; });
  forms.one("cvta.to.shared.u64", [](uint64_t a) -> uint64_t { return a - kSharedWindow; });
}

}  // namespace

void add_conversion_forms(Forms& forms) {
  add_between_integers(forms);
  forms.integers("cvt.rn.f32", kIntegers,
                 []<typename S>(S a) -> float { return static_cast<float>(a); });
  forms.integers("cvt.rn.f64", kIntegers,
                 []<typename S>(S a) -> double { return static_cast<double>(a); });
  add_rounding(forms, "rni", [](auto x) { return std::nearbyint(x); });
  add_rounding(forms, "rzi", [](auto x) { return std::trunc(x); });
  add_rounding(forms, "rmi", [](auto x) { return std::floor(x); });
  add_rounding(forms, "rpi", [](auto x) { return std::ceil(x); });
  forms.one("cvt.f64.f32", [](float a) -> double { return a; });
  forms.one("cvt.rn.f32.f64", [](double a) -> float { return static_cast<float>(a); });
  forms.one("cvt.sat.f32.f32",
            [](float a) -> float { return std::isnan(a) ? 0 : std::clamp(a, 0.0f, 1.0f); });
  forms.one("cvt.f32.f16", [](F16 a) -> float { return f16_to_f32(a.bits); });
  forms.one("cvt.rn.f16.f32", [](float a) -> F16 { return {f32_to_f16(a)}; });
  forms.one("cvt.f32.bf16", [](Bf16 a) -> float { return bf16_to_f32(a.bits); });
  forms.one("cvt.rn.bf16.f32", [](float a) -> Bf16 { return {f32_to_bf16(a)}; });
  forms.one("cvt.rn.f16x2.f32", [](float high, float low) -> uint32_t {
    return pair(f32_to_f16(high), f32_to_f16(low));
  });
  forms.one("cvt.rn.bf16x2.f32", [](float high, float low) -> uint32_t {
    return pair(f32_to_bf16(high), f32_to_bf16(low));
  });
  add_moves(forms);
}

}  // namespace minicpm::ptx
