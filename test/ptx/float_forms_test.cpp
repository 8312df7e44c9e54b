// Every form of numbers with a point, and of conversions.
#include <bit>
#include <cmath>

#include "kernels/half.h"
#include "test/kernels/test.h"
#include "test/ptx/kernel_text.h"

namespace minicpm::test {

namespace {

uint64_t f(float x) {
  return std::bit_cast<uint32_t>(x);
}
uint64_t d(double x) {
  return std::bit_cast<uint64_t>(x);
}

/// `opcode` in both widths, of two or three numbers.
void check(const std::string& opcode, const std::vector<double>& inputs, double expected) {
  std::string singles = opcode + ".f32 %f0", doubles = opcode + ".f64 %fd0";
  std::vector<uint64_t> single, whole;
  for (size_t i = 0; i < inputs.size(); i++) {
    singles += ", %f" + std::to_string(i + 1), doubles += ", %fd" + std::to_string(i + 1);
    single.push_back(f(static_cast<float>(inputs[i]))), whole.push_back(d(inputs[i]));
  }
  if (result_of(singles, single) != f(static_cast<float>(expected))) fail(__FILE__, 0, singles);
  if (result_of(doubles, whole) != d(expected)) fail(__FILE__, 0, doubles);
}

float single(const std::string& instruction, std::initializer_list<float> inputs) {
  std::vector<uint64_t> bits;
  for (float x : inputs) bits.push_back(f(x));
  return std::bit_cast<float>(static_cast<uint32_t>(result_of(instruction, bits)));
}

bool near(float a, double b) {
  return std::abs(a - b) <= 1e-6 * std::abs(b);
}

}  // namespace

TEST("PTX computes with floats of both widths, rounding to nearest") {
  check("add.rn", {1.5, -4}, -2.5);
  check("sub.rn", {1.5, -4}, 5.5);
  check("mul.rn", {1.5, -4}, -6);
  check("div.rn", {1.5, -4}, -0.375);
  check("fma.rn", {1.5, -4, 7}, 1);
  check("rcp.rn", {-8}, -0.125);
  check("sqrt.rn", {2.25}, 1.5);
  check("abs", {-2.5}, 2.5);
  check("neg", {2.5}, -2.5);
  check("min", {2.5, -3}, -3);
  check("min", {0.0, -0.0}, -0.0);
  check("min", {NAN, 4}, 4);
  check("max", {2.5, -3}, 2.5);
  check("max", {-0.0, 0.0}, 0.0);
  check("max", {4, NAN}, 4);
  check("copysign", {-1, 2.5}, -2.5);
  CHECK(single("add.rn.f32 %f0, %f1, %f2", {1, 0x1.8p-24f}) == 1 + 0x1p-23f);
  CHECK(single("fma.rn.f32 %f0, %f1, %f2, %f3", {1 + 0x1p-12f, 1 + 0x1p-12f, -1}) ==
        0x1p-11f + 0x1p-24f);
}

TEST("PTX rounds a fused sum down where it is told to") {
  const auto down = [](float a, float b, float c) {
    return single("fma.rm.f32 %f0, %f1, %f2, %f3", {a, b, c});
  };
  CHECK(down(1.5f, -4, 7) == 1);
  CHECK(down(1, 1, 0x1.8p-24f) == 1);  // to nearest it would be up
  CHECK(down(-1, 1, -0x1p-30f) == -1 - 0x1p-23f);
  CHECK(down(1, 1, -0x1p-70f) == 1 - 0x1p-24f);  // less than double's last place
  CHECK(down(3, 5, 0.25f) == 15.25f);
}

TEST("PTX approximates with more than the precision that GPUs have") {
  CHECK(near(single("ex2.approx.f32 %f0, %f1", {1.5f}), std::exp2(1.5)));
  CHECK(near(single("lg2.approx.f32 %f0, %f1", {10}), std::log2(10.0)));
  CHECK(near(single("rcp.approx.f32 %f0, %f1", {3}), 1 / 3.0));
  CHECK(near(single("rsqrt.approx.f32 %f0, %f1", {3}), 1 / std::sqrt(3.0)));
  CHECK(near(single("sin.approx.f32 %f0, %f1", {1}), std::sin(1.0)));
  CHECK(near(single("cos.approx.f32 %f0, %f1", {1}), std::cos(1.0)));
  CHECK(near(single("tanh.approx.f32 %f0, %f1", {0.5f}), std::tanh(0.5)));
  CHECK(single("ex2.approx.ftz.f32 %f0, %f1", {-130}) == 0);
  CHECK(single("ex2.approx.f32 %f0, %f1", {-130}) > 0);
  CHECK(near(single("ex2.approx.ftz.f32 %f0, %f1", {1.5f}), std::exp2(1.5)));
  CHECK(near(single("lg2.approx.ftz.f32 %f0, %f1", {10}), std::log2(10.0)));
  CHECK(single("lg2.approx.ftz.f32 %f0, %f1", {0x1p-130f}) == -INFINITY);
  CHECK(near(single("rcp.approx.ftz.f32 %f0, %f1", {3}), 1 / 3.0));
  CHECK(near(single("rsqrt.approx.ftz.f32 %f0, %f1", {3}), 1 / std::sqrt(3.0)));
  CHECK(near(single("sin.approx.ftz.f32 %f0, %f1", {1}), std::sin(1.0)));
  CHECK(near(single("cos.approx.ftz.f32 %f0, %f1", {1}), std::cos(1.0)));
}

TEST("PTX compares floats, and NaN as the comparison says") {
  const auto check_all = [](const std::string& name, const std::string& of, bool less, bool equal,
                            bool greater, bool nan) {
    const struct {
      double a, b;
      bool expected;
    } cases[] = {{1, 2, less}, {2, 2, equal}, {3, 2, greater}, {NAN, 2, nan}, {2, NAN, nan}};
    for (const auto& [a, b, expected] : cases) {
      const bool wide = of == "f64";
      const std::string text =
          "setp." + name + "." + of + (wide ? " %p0, %fd1, %fd2" : " %p0, %f1, %f2");
      std::vector<uint64_t> inputs{wide ? d(a) : f(static_cast<float>(a)),
                                   wide ? d(b) : f(static_cast<float>(b))};
      const bool three =
          name.find(".and") != std::string::npos || name.find(".or") != std::string::npos;
      if (!three) {
        CHECK(result_of(text, inputs) == expected);
        continue;
      }
      const bool with = name.find(".or") == std::string::npos;
      inputs.push_back(with);
      CHECK(result_of(text + ", %p3", inputs) == expected);
      inputs.back() = !with;
      CHECK(result_of(text + ", %p3", inputs) == !with);
    }
  };
  for (const char* of : {"f32", "f64"}) {
    const struct {
      const char* name;
      bool less, equal, greater;
    } rows[] = {{"eq", false, true, false}, {"ne", true, false, true},  {"lt", true, false, false},
                {"le", true, true, false},  {"gt", false, false, true}, {"ge", false, true, true}};
    for (const auto& [name, less, equal, greater] : rows) {
      for (const char* with : {"", ".and", ".or"}) {
        check_all(name + std::string(with), of, less, equal, greater, false);
      }
      check_all(name + std::string("u"), of, less, equal, greater, true);
    }
    check_all("nan", of, false, false, false, true);
    check_all("num", of, true, true, true, false);
  }
  CHECK(result_of("selp.f32 %f0, %f1, %f2, %p3", {f(2), f(3), 1}) == f(2));
  CHECK(result_of("selp.f64 %fd0, %fd1, %fd2, %p3", {d(2), d(3), 0}) == d(3));
}

TEST("PTX converts between integers of all widths, filling registers with the sign") {
  constexpr uint64_t kBits = 0x89abcdef13579bdf;
  const unsigned widths[] = {8, 16, 32, 64};
  const auto registers = [](unsigned bits) {
    return std::string(bits == 64 ? "%rd" : bits == 32 ? "%r" : "%rs");
  };
  for (unsigned to : widths) {
    for (unsigned from : widths) {
      for (const char* kinds : {"ss", "su", "us", "uu"}) {
        for (uint64_t bits : {kBits, kBits << 1}) {
          const unsigned away = 64 - from;
          const uint64_t source =
              kinds[1] == 's' ? static_cast<uint64_t>(static_cast<int64_t>(bits << away) >> away)
                              : bits << away >> away;
          const unsigned cut = 64 - to;
          const uint64_t value =
              kinds[0] == 's' ? static_cast<uint64_t>(static_cast<int64_t>(source << cut) >> cut)
                              : source << cut >> cut;
          const unsigned held = to == 8 ? 16 : to;  // the register's width
          const uint64_t expected = held == 64 ? value : value & ((1ull << held) - 1);
          const std::string text = std::string("cvt.") + kinds[0] + std::to_string(to) + "." +
                                   kinds[1] + std::to_string(from) + " " + registers(to) + "0, " +
                                   registers(from) + "1";
          const uint64_t given = from == 64 ? bits : bits & ((1ull << (from == 8 ? 16 : from)) - 1);
          if (result_of(text, {given}) != expected) fail(__FILE__, __LINE__, text);
        }
      }
    }
  }
}

TEST("PTX converts integers to floats, and floats to whole numbers with every rounding") {
  const struct {
    const char *type, *from;
    uint64_t bits;
    double expected;
  } sources[] = {{"s8", "%rs1", 0xfffe, -2},
                 {"u8", "%rs1", 0x01fe, 254},
                 {"s16", "%rs1", 0xfffd, -3},
                 {"u16", "%rs1", 0xfffd, 65533},
                 {"s32", "%r1", 0xfffffffc, -4},
                 {"u32", "%r1", 0xfffffffc, 4294967292.0},
                 {"s64", "%rd1", static_cast<uint64_t>(-5), -5},
                 {"u64", "%rd1", 1ull << 63, 0x1p63}};
  const struct {
    const char* mode;
    double (*round)(double);
  } modes[] = {
      {"rni", std::nearbyint}, {"rzi", std::trunc}, {"rmi", std::floor}, {"rpi", std::ceil}};
  for (const auto& [type, from, bits, expected] : sources) {
    CHECK(result_of(std::string("cvt.rn.f32.") + type + " %f0, " + from, {bits}) ==
          f(static_cast<float>(expected)));
    CHECK(result_of(std::string("cvt.rn.f64.") + type + " %fd0, " + from, {bits}) == d(expected));
    std::string to = from;
    to.back() = '0';
    const unsigned held = to == "%rd0" ? 64 : to == "%r0" ? 32 : 16;
    for (const auto& [mode, round] : modes) {
      for (double x : {2.5, 3.5, -2.5, -0.75, 100.0}) {
        const double whole = round(x);
        const bool none = type[0] == 'u' && whole < 0;
        const uint64_t number = none ? 0 : static_cast<uint64_t>(static_cast<int64_t>(whole));
        const uint64_t held_bits = held == 64 ? number : number & ((1ull << held) - 1);
        const std::string text = std::string("cvt.") + mode + "." + type;
        CHECK(result_of(text + ".f32 " + to + ", %f1", {f(static_cast<float>(x))}) == held_bits);
        CHECK(result_of(text + ".f64 " + to + ", %fd1", {d(x)}) == held_bits);
      }
    }
  }
  for (const auto& [mode, round] : modes) {
    const std::string text = std::string("cvt.") + mode;
    CHECK(result_of(text + ".f32.f32 %f0, %f1", {f(-2.5f)}) == f(static_cast<float>(round(-2.5))));
    CHECK(result_of(text + ".f64.f64 %fd0, %fd1", {d(3.5)}) == d(round(3.5)));
  }
  CHECK(result_of("cvt.rzi.s32.f32 %r0, %f1", {f(1e20f)}) == 0x7fffffff);
  CHECK(result_of("cvt.rzi.s32.f32 %r0, %f1", {f(-1e20f)}) == 0x80000000);
  CHECK(result_of("cvt.rzi.u8.f32 %rs0, %f1", {f(300)}) == 255);
  CHECK(result_of("cvt.rzi.s32.f32 %r0, %f1", {f(NAN)}) == 0);
  CHECK(result_of("cvt.rzi.u64.f64 %rd0, %fd1", {d(NAN)}) == 1ull << 63);
}

TEST("PTX converts floats of 16, 32 and 64 bits into each other") {
  CHECK(result_of("cvt.f64.f32 %fd0, %f1", {f(-1.25f)}) == d(-1.25));
  CHECK(result_of("cvt.rn.f32.f64 %f0, %fd1", {d(1 + 0x1.8p-24)}) == f(1 + 0x1p-23f));
  CHECK(single("cvt.sat.f32.f32 %f0, %f1", {1.5f}) == 1);
  CHECK(single("cvt.sat.f32.f32 %f0, %f1", {-2}) == 0);
  CHECK(single("cvt.sat.f32.f32 %f0, %f1", {0.25f}) == 0.25f);
  CHECK(single("cvt.sat.f32.f32 %f0, %f1", {NAN}) == 0);
  CHECK(result_of("cvt.f32.f16 %f0, %rs1", {0xc100}) == f(-2.5f));
  CHECK(result_of("cvt.rn.f16.f32 %rs0, %f1", {f(-2.5f)}) == 0xc100);
  CHECK(result_of("cvt.f32.bf16 %f0, %rs1", {0xc020}) == f(-2.5f));
  CHECK(result_of("cvt.rn.bf16.f32 %rs0, %f1", {f(-2.5f)}) == 0xc020);
  CHECK(result_of("cvt.rn.f16x2.f32 %r0, %f1, %f2", {f(-2.5f), f(1)}) == 0xc1003c00);
  CHECK(result_of("cvt.rn.bf16x2.f32 %r0, %f1, %f2", {f(-2.5f), f(1)}) == 0xc0203f80);
}

TEST("PTX moves registers, splits and joins them, and maps addresses between spaces") {
  for (const char* type : {"b16", "u16", "s16"}) {
    CHECK(result_of(std::string("mov.") + type + " %rs0, %rs1", {0x9abc}) == 0x9abc);
  }
  for (const char* type : {"b32", "u32", "s32"}) {
    CHECK(result_of(std::string("mov.") + type + " %r0, %r1", {0x9abcdef0}) == 0x9abcdef0);
  }
  for (const char* type : {"b64", "u64", "s64"}) {
    CHECK(result_of(std::string("mov.") + type + " %rd0, %rd1", {0x123456789abcdef0}) ==
          0x123456789abcdef0);
  }
  CHECK(result_of("mov.f32 %f0, %f1", {f(1.5f)}) == f(1.5f));
  CHECK(result_of("mov.f64 %fd0, %fd1", {d(1.5)}) == d(1.5));
  CHECK(result_of("mov.b32 %r0, {%rs1, %rs2}", {0x1234, 0x9abc}) == 0x9abc1234);
  CHECK(result_of("mov.b64 %rd0, {%r1, %r2}", {0x12345678, 0x9abcdef0}) == 0x9abcdef012345678);
  CHECK(result_of("mov.b64 %rd0, {%rs1, %rs2, %rs3, %rs4}", {1, 2, 3, 4}) == 0x0004000300020001);
  CHECK(run_text("mov.b32 %r1, 0x9abc1234;\nmov.b32 {%rs1, %rs2}, %r1;\n"
                 "mov.b32 %r2, {%rs2, %rs1};\nmov.b64 %rd1, {%r2, %r1};\n"
                 "mov.b64 {%r3, %r4}, %rd1;\nmov.b64 {_, %r5}, %rd1;\nadd.s32 %r5, %r5, %r4;\n"
                 "mov.b64 %rd2, {%r3, %r5};\n" +
                     keep("%rd2"),
                 1)[0] == 0x3578246812349abc);
  const std::string shared = ".shared .align 4 .b8 pad[12];\n.shared .align 4 .b8 array[8];\n";
  CHECK(run_text("mov.u64 %rd1, pad;\nmov.u64 %rd1, array;\ncvta.shared.u64 %rd2, %rd1;\n"
                 "mov.b32 %r1, 77;\nst.u32 [%rd2+4], %r1;\ncvta.to.shared.u64 %rd3, %rd2;\n"
                 "sub.s64 %rd4, %rd3, %rd1;\nld.shared.u32 %rd5, [array+4];\n"
                 "add.s64 %rd4, %rd4, %rd5;\ncvta.global.u64 %rd6, %rd4;\n"
                 "cvta.to.global.u64 %rd7, %rd6;\n" +
                     keep("%rd7"),
                 1, shared)[0] == 77);
}

}  // namespace minicpm::test
