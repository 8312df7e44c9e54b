// From a lambda that computes one lane's result to a form that runs on a warp.
#pragma once

#include <bit>
#include <sstream>
#include <type_traits>
#include <utility>

#include "kernels/half.h"
#include "test/ptx/forms.h"
#include "test/ptx/warp.h"

namespace minicpm::ptx {

template <typename T>
T number_of(uint64_t bits) {
  if constexpr (std::is_same_v<T, bool>) {
    return bits & 1;
  } else if constexpr (std::is_same_v<T, F16> || std::is_same_v<T, Bf16>) {
    return {static_cast<uint16_t>(bits)};
  } else if constexpr (std::is_same_v<T, float>) {
    return std::bit_cast<float>(static_cast<uint32_t>(bits));
  } else if constexpr (std::is_same_v<T, double>) {
    return std::bit_cast<double>(bits);
  } else {
    return static_cast<T>(bits);
  }
}

/// Signed integers fill all 64 bits; the register's mask cuts them.
template <typename T>
uint64_t bits_of_number(T x) {
  if constexpr (std::is_same_v<T, F16> || std::is_same_v<T, Bf16>) {
    return x.bits;
  } else if constexpr (std::is_same_v<T, float>) {
    return std::bit_cast<uint32_t>(x);
  } else if constexpr (std::is_same_v<T, double>) {
    return std::bit_cast<uint64_t>(x);
  } else if constexpr (std::is_signed_v<T>) {
    return static_cast<uint64_t>(static_cast<int64_t>(x));
  } else {
    return x;
  }
}

/// A letter for each parameter, as in Form::operands.
template <typename... A>
std::string operands_of() {
  std::string letters = "d";
  ((letters += std::is_same_v<A, bool> ? 'b' : 's'), ...);
  return letters;
}

template <typename Function, typename R, typename... A, size_t... I>
Outcome run_lanes(Warp& warp, const Instruction& instruction, uint32_t active,
                  std::index_sequence<I...>) {
  const auto& operands = instruction.operands;
  uint64_t* to = warp.row(operands[0].row);
  const uint64_t mask = operands[0].mask;
  const uint64_t* from[] = {warp.row(operands[I + 1].row)...};
  const bool negated[] = {operands[I + 1].negated...};
  for_lanes(active, [&](unsigned lane) {
    to[lane] = mask & bits_of_number<R>(Function::call(
                          number_of<A>(from[I][lane] ^ static_cast<uint64_t>(negated[I]))...));
  });
  return Outcome::done;
}

/// `Compute` with its template parameter, and without where there is none.
template <typename Compute, typename T>
struct Typed {
  static constexpr auto kCall = &Compute::template operator()<T>;
  template <typename... A>
  static auto call(A... a) {
    return Compute{}.template operator()<T>(a...);
  }
};
template <typename Compute>
struct Typed<Compute, void> {
  static constexpr auto kCall = &Compute::operator();
  template <typename... A>
  static auto call(A... a) {
    return Compute{}(a...);
  }
};

template <typename Function, typename Compute, typename R, typename... A>
Form form_of(const std::string& name, R (Compute::*)(A...) const) {
  Form form{name, operands_of<A...>()};
  form.run = [](Warp& warp, const Instruction& instruction, uint32_t active) {
    return run_lanes<Function, R, A...>(warp, instruction, active, std::index_sequence_for<A...>());
  };
  return form;
}

/// Calls `start(name, T())` for each type of the list.
template <typename Start>
void for_integer_types(const std::string& types, Start start) {
  std::istringstream words(types);
  for (std::string type; words >> type;) {
    const bool is_signed = type[0] == 's';
    const std::string bits = type.substr(1);
    if (bits == "8") is_signed ? start(type, int8_t()) : start(type, uint8_t());
    if (bits == "16") is_signed ? start(type, int16_t()) : start(type, uint16_t());
    if (bits == "32") is_signed ? start(type, int32_t()) : start(type, uint32_t());
    if (bits == "64") is_signed ? start(type, int64_t()) : start(type, uint64_t());
  }
}

template <typename Compute>
void Forms::integers(const std::string& name, const std::string& types, Compute) {
  for_integer_types(types, [&]<typename T>(const std::string& type, T) {
    using Function = Typed<Compute, T>;
    add(form_of<Function>(name + "." + type, Function::kCall));
  });
}

template <typename Compute>
void Forms::floats(const std::string& name, const std::string& types, Compute) {
  std::istringstream words(types);
  for (std::string type; words >> type;) {
    using Single = Typed<Compute, float>;
    using Double = Typed<Compute, double>;
    if (type == "f32") add(form_of<Single>(name + "." + type, Single::kCall));
    if (type == "f64") add(form_of<Double>(name + "." + type, Double::kCall));
  }
}

template <typename Compute>
void Forms::one(const std::string& name, Compute) {
  using Function = Typed<Compute, void>;
  add(form_of<Function>(name, Function::kCall));
}

}  // namespace minicpm::ptx
