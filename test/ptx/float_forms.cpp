// Arithmetic of 32 and 64 bits with a point. What GPUs approximate is computed to full precision.
#include <algorithm>
#include <cmath>

#include "test/ptx/lanes.h"

namespace minicpm::ptx {

namespace {

constexpr const char* kFloats = "f32 f64";

/// Subnormal numbers become zeros.
float flush(float x) {
  return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x;
}

/// a b + c, rounded down: the product is exact in double, the sum is with what its rounding lost.
float fma_down(float a, float b, float c) {
  const double product = static_cast<double>(a) * b, sum = product + c;
  const double of_c = sum - product;
  const double lost = (product - (sum - of_c)) + (c - of_c);
  const auto nearest = static_cast<float>(sum);
  const bool above = nearest > sum || (nearest == sum && lost < 0);
  return above ? std::nextafter(nearest, -INFINITY) : nearest;
}

/// The comparisons that are false with a NaN, and those that are true.
template <typename Compare>
void add_comparison(Forms& forms, const std::string& name, Compare) {
  const auto compare = []<typename T>(T a, T b) -> bool { return Compare{}(a, b); };
  const auto unordered = []<typename T>(T a, T b) -> bool {
    return std::isnan(a) || std::isnan(b) || Compare{}(a, b);
  };
  forms.floats("setp." + name, kFloats, compare);
  forms.floats("setp." + name + "u", kFloats, unordered);
  forms.floats("setp." + name + ".and", kFloats,
               []<typename T>(T a, T b, bool c) -> bool { return Compare{}(a, b) && c; });
  forms.floats("setp." + name + ".or", kFloats,
               []<typename T>(T a, T b, bool c) -> bool { return Compare{}(a, b) || c; });
}

void add_approximations(Forms& forms) {
  const auto add = [&](const std::string& name, auto function) {
    using Function = decltype(function);
    forms.one(name + ".approx.f32", [](float a) -> float { return Function{}(a); });
    forms.one(name + ".approx.ftz.f32",
              [](float a) -> float { return flush(Function{}(flush(a))); });
  };
  add("ex2", [](float x) { return std::exp2(x); });
  add("lg2", [](float x) { return std::log2(x); });
  add("rcp", [](float x) { return 1 / x; });
  add("rsqrt", [](float x) { return static_cast<float>(1 / std::sqrt(static_cast<double>(x))); });
  add("sin", [](float x) { return std::sin(x); });
  add("cos", [](float x) { return std::cos(x); });
  forms.one("tanh.approx.f32", [](float x) -> float { return std::tanh(x); });
}

}  // namespace

void add_float_forms(Forms& forms) {
  forms.floats("add.rn", kFloats, []<typename T>(T a, T b) -> T { return a + b; });
  forms.floats("sub.rn", kFloats, []<typename T>(T a, T b) -> T { return a - b; });
  forms.floats("mul.rn", kFloats, []<typename T>(T a, T b) -> T { return a * b; });
  forms.floats("div.rn", kFloats, []<typename T>(T a, T b) -> T { return a / b; });
  forms.floats("fma.rn", kFloats, []<typename T>(T a, T b, T c) -> T { return std::fma(a, b, c); });
  forms.one("fma.rm.f32", [](float a, float b, float c) -> float { return fma_down(a, b, c); });
  forms.floats("rcp.rn", kFloats, []<typename T>(T a) -> T { return 1 / a; });
  forms.floats("sqrt.rn", kFloats, []<typename T>(T a) -> T { return std::sqrt(a); });
  forms.floats("abs", kFloats, []<typename T>(T a) -> T { return std::fabs(a); });
  forms.floats("neg", kFloats, []<typename T>(T a) -> T { return -a; });
  // Of a number and a NaN the number; -0 is less than 0.
  forms.floats("min", kFloats, []<typename T>(T a, T b) -> T {
    if (a == b) return std::signbit(a) ? a : b;
    return std::fmin(a, b);
  });
  forms.floats("max", kFloats, []<typename T>(T a, T b) -> T {
    if (a == b) return std::signbit(a) ? b : a;
    return std::fmax(a, b);
  });
  forms.floats("copysign", kFloats,
               []<typename T>(T sign, T size) -> T { return std::copysign(size, sign); });
  add_approximations(forms);

  add_comparison(forms, "eq", [](auto a, auto b) { return a == b; });
  add_comparison(forms, "ne", [](auto a, auto b) { return a < b || a > b; });
  add_comparison(forms, "lt", [](auto a, auto b) { return a < b; });
  add_comparison(forms, "le", [](auto a, auto b) { return a <= b; });
  add_comparison(forms, "gt", [](auto a, auto b) { return a > b; });
  add_comparison(forms, "ge", [](auto a, auto b) { return a >= b; });
  forms.floats("setp.nan", kFloats,
               []<typename T>(T a, T b) -> bool { return std::isnan(a) || std::isnan(b); });
  forms.floats("setp.num", kFloats,
               []<typename T>(T a, T b) -> bool { return !std::isnan(a) && !std::isnan(b); });
}

}  // namespace minicpm::ptx
