// Every form of whole numbers and bits, with operands that are all different.
#include "kernels/half.h"
#include "test/kernels/test.h"
#include "test/ptx/kernel_text.h"

namespace minicpm::test {

namespace {

using Wide = __int128;

// Their halves, quarters and eighths differ, and have both signs.
constexpr uint64_t kA = 0x89abcdef13579bdf, kB = 0x7654321002468ace, kC = 0xfedcba98f0e1d2c3;

struct Type {
  std::string name;
  unsigned bits;
  bool is_signed;

  explicit Type(const std::string& word)
      : name(word),
        bits(static_cast<unsigned>(std::stoi(word.substr(1)))),
        is_signed(word[0] == 's') {}

  uint64_t cut(uint64_t number) const {
    return bits == 64 ? number : number & ((1ull << bits) - 1);
  }
  uint64_t cut(Wide number) const { return cut(static_cast<uint64_t>(number)); }
  Wide value(uint64_t number) const {
    const uint64_t low = cut(number);
    const bool negative = is_signed && low >> (bits - 1);
    return static_cast<Wide>(low) - (negative ? static_cast<Wide>(1) << bits : 0);
  }
  /// A register of this width.
  std::string reg(int index) const {
    return (bits == 64 ? "%rd" : bits == 32 ? "%r" : "%rs") + std::to_string(index);
  }
};

std::vector<Type> types(const char* words) {
  std::vector<Type> all;
  std::string word;
  for (const char* sign = words;; sign++) {
    if (*sign && *sign != ' ') {
      word += *sign;
      continue;
    }
    all.emplace_back(word);
    word.clear();
    if (!*sign) return all;
  }
}

const char* const kNumbers = "s16 u16 s32 u32 s64 u64";
const char* const kBits = "b16 b32 b64";

/// For each type: `opcode.type` of the values gives `expected` of them, cut to the type.
template <typename Expected>
void check_two(const std::string& opcode, const char* words, Expected expected) {
  for (const Type& type : types(words)) {
    for (const auto& [a, b] : {std::pair{kA, kB}, {kB, kA}, {kA, kC}}) {
      const std::string text =
          opcode + "." + type.name + " " + type.reg(0) + ", " + type.reg(1) + ", " + type.reg(2);
      const uint64_t result = result_of(text, {type.cut(a), type.cut(b)});
      if (result != type.cut(expected(type.value(a), type.value(b)))) {
        fail(__FILE__, __LINE__, text);
      }
    }
  }
}

template <typename Expected>
void check_comparison(const std::string& name, const char* words, Expected expected) {
  for (const Type& type : types(words)) {
    for (const auto& [a, b] : {std::pair{kA, kB}, {kB, kA}, {kA, kA}}) {
      const bool is = expected(type.value(a), type.value(b));
      const std::string operands = type.name + " %p0, " + type.reg(1) + ", " + type.reg(2);
      const std::vector<uint64_t> inputs{type.cut(a), type.cut(b)};
      CHECK(result_of("setp." + name + "." + operands, inputs) == is);
      for (uint64_t with : {0, 1}) {
        const std::vector<uint64_t> three{type.cut(a), type.cut(b), with};
        CHECK(result_of("setp." + name + ".and." + operands + ", %p3", three) == (is && with));
        CHECK(result_of("setp." + name + ".or." + operands + ", %p3", three) == (is || with));
        CHECK(result_of("setp." + name + ".and." + operands + ", !%p3", three) == (is && !with));
      }
    }
  }
}

}  // namespace

TEST("PTX adds, multiplies, divides and compares whole numbers of every width") {
  check_two("add", kNumbers, [](Wide a, Wide b) { return a + b; });
  check_two("sub", kNumbers, [](Wide a, Wide b) { return a - b; });
  check_two("mul.lo", kNumbers, [](Wide a, Wide b) {
    return static_cast<Wide>(static_cast<unsigned __int128>(a) * static_cast<unsigned __int128>(b));
  });
  check_two("div", kNumbers, [](Wide a, Wide b) { return a / b; });
  check_two("rem", kNumbers, [](Wide a, Wide b) { return a % b; });
  check_two("min", kNumbers, [](Wide a, Wide b) { return a < b ? a : b; });
  check_two("max", kNumbers, [](Wide a, Wide b) { return a < b ? b : a; });
  check_comparison("eq", "s16 u16 s32 u32 s64 u64 b16 b32 b64",
                   [](Wide a, Wide b) { return a == b; });
  check_comparison("ne", "s16 u16 s32 u32 s64 u64 b16 b32 b64",
                   [](Wide a, Wide b) { return a != b; });
  check_comparison("lt", kNumbers, [](Wide a, Wide b) { return a < b; });
  check_comparison("le", kNumbers, [](Wide a, Wide b) { return a <= b; });
  check_comparison("gt", kNumbers, [](Wide a, Wide b) { return a > b; });
  check_comparison("ge", kNumbers, [](Wide a, Wide b) { return a >= b; });
  CHECK(result_of("div.s32 %r0, %r1, %r2", {0x80000000, 0xffffffff}) == 0x80000000);
  CHECK(result_of("div.u32 %r0, %r1, %r2", {7, 0}) == 0xffffffff);
}

TEST("PTX multiplies into upper halves and twice the width, and adds to it") {
  for (const Type& type : types("s16 u16 s32 u32")) {
    const Type wide(type.name.substr(0, 1) + std::to_string(type.bits * 2));
    const Wide product = type.value(kA) * type.value(kB);
    const std::vector<uint64_t> inputs{type.cut(kA), type.cut(kB)};
    const std::string two = type.reg(1) + ", " + type.reg(2);
    CHECK(result_of("mul.hi." + type.name + " " + type.reg(0) + ", " + two, inputs) ==
          type.cut(product >> type.bits));
    CHECK(result_of("mul.wide." + type.name + " " + wide.reg(0) + ", " + two, inputs) ==
          wide.cut(product));
    CHECK(result_of("mad.wide." + type.name + " " + wide.reg(0) + ", " + two + ", " + wide.reg(3),
                    {inputs[0], inputs[1], wide.cut(kC)}) == wide.cut(product + wide.value(kC)));
  }
  for (const Type& type : types(kNumbers)) {
    const std::string name =
        type.name + " " + type.reg(0) + ", " + type.reg(1) + ", " + type.reg(2);
    const uint64_t low = type.cut(kA) * type.cut(kB) + type.cut(kC);
    CHECK(result_of("mad.lo." + name + ", " + type.reg(3),
                    {type.cut(kA), type.cut(kB), type.cut(kC)}) == type.cut(low));
  }
  CHECK(result_of("mul.hi.u64 %rd0, %rd1, %rd2", {1ull << 63, 6}) == 3);
  CHECK(result_of("mul.hi.s64 %rd0, %rd1, %rd2", {1ull << 63, 6}) == static_cast<uint64_t>(-3));
  // 1 * 5 - 2 * 6 + 3 * 7 + 4 * -8 + 100, and with 254 for -2
  CHECK(result_of("dp4a.u32.s32 %r0, %r1, %r2, %r3", {0x0403fe01, 0xf8070605, 100}) == 1618);
  CHECK(result_of("dp4a.s32.s32 %r0, %r1, %r2, %r3", {0x0403fe01, 0xf8070605, 100}) == 82);
}

TEST("PTX negates, shifts and combines bits of every width") {
  for (const Type& type : types("s16 s32 s64")) {
    const std::string operands = type.name + " " + type.reg(0) + ", " + type.reg(1);
    for (uint64_t a : {kA, kB}) {
      const Wide value = type.value(a);
      CHECK(result_of("neg." + operands, {type.cut(a)}) == type.cut(-value));
      CHECK(result_of("abs." + operands, {type.cut(a)}) == type.cut(value < 0 ? -value : value));
    }
  }
  check_two("and", kBits, [](Wide a, Wide b) { return a & b; });
  check_two("or", kBits, [](Wide a, Wide b) { return a | b; });
  check_two("xor", kBits, [](Wide a, Wide b) { return a ^ b; });
  for (const Type& type : types("s16 u16 s32 u32 s64 u64 b16 b32 b64")) {
    const std::string operands = type.name + " " + type.reg(0) + ", " + type.reg(1);
    for (uint64_t count : {0, 5, 15, 16, 31, 32, 63, 64, 200}) {
      const bool all = count >= type.bits;
      const Wide value = type.value(kA);
      CHECK(result_of("shr." + operands + ", %r9", {type.cut(kA), count}) ==
            type.cut(value >> (all ? 100 : count)));
      if (type.name[0] != 'b') continue;
      CHECK(result_of("shl." + operands + ", %r9", {type.cut(kA), count}) ==
            type.cut(all ? Wide{0} : static_cast<Wide>(type.cut(kA) << count)));
    }
    if (type.name[0] == 'b') CHECK(result_of("not." + operands, {type.cut(kA)}) == type.cut(~kA));
    for (uint64_t which : {0, 1}) {
      CHECK(result_of("selp." + operands + ", " + type.reg(2) + ", %p3",
                      {type.cut(kA), type.cut(kB), which}) == type.cut(which ? kA : kB));
    }
  }
  for (uint64_t a : {0, 1}) {
    for (uint64_t b : {0, 1}) {
      CHECK(result_of("and.pred %p0, %p1, %p2", {a, b}) == (a & b));
      CHECK(result_of("or.pred %p0, %p1, !%p2", {a, b}) == (a | !b));
      CHECK(result_of("xor.pred %p0, %p1, %p2", {a, b}) == (a ^ b));
    }
    CHECK(result_of("not.pred %p0, %p1", {a}) == !a);
    CHECK(result_of("mov.pred %p0, %p1", {a}) == a);
  }
}

TEST("PTX counts, reverses, cuts out and rearranges bits") {
  CHECK(result_of("popc.b32 %r0, %r1", {0xf0010003}) == 7);
  CHECK(result_of("popc.b64 %r0, %rd1", {0xf00100030000000f}) == 11);
  CHECK(result_of("clz.b32 %r0, %r1", {0x00012345}) == 15);
  CHECK(result_of("clz.b64 %r0, %rd1", {0x00012345}) == 47);
  CHECK(result_of("brev.b32 %r0, %r1", {0x80000006}) == 0x60000001);
  CHECK(result_of("brev.b64 %rd0, %rd1", {0x8000000000000006}) == 0x6000000000000001);
  CHECK(result_of("bfe.u32 %r0, %r1, %r2, %r3", {0x12345678, 4, 12}) == 0x567);
  CHECK(result_of("bfe.u32 %r0, %r1, %r2, %r3", {0x92345678, 28, 12}) == 0x9);
  CHECK(result_of("bfe.s32 %r0, %r1, %r2, %r3", {0x12345a78, 4, 8}) == 0xffffffa7);
  CHECK(result_of("bfe.s32 %r0, %r1, %r2, %r3", {0x92345678, 28, 12}) == 0xfffffff9);
  CHECK(result_of("bfe.u64 %rd0, %rd1, %r2, %r3", {kA, 16, 20}) == 0xf1357);
  CHECK(result_of("bfe.s64 %rd0, %rd1, %r2, %r3", {kA, 60, 4}) == 0xfffffffffffffff8);
  CHECK(result_of("bfe.u32 %r0, %r1, %r2, %r3", {0x12345678, 4, 0}) == 0);
  CHECK(result_of("bfi.b32 %r0, %r1, %r2, %r3, %r4", {0xabc, 0x12345678, 8, 12}) == 0x123abc78);
  CHECK(result_of("bfi.b64 %rd0, %rd1, %rd2, %r3, %r4", {0xabc, kB, 40, 8}) == 0x7654bc1002468ace);
  CHECK(result_of("bfi.b32 %r0, %r1, %r2, %r3, %r4", {0xabc, 0x12345678, 32, 5}) == 0x12345678);
  CHECK(result_of("prmt.b32 %r0, %r1, %r2, %r3", {0x83025100, 0x87068504, 0x5b72}) == 0x85ff8702);
  CHECK(result_of("lop3.b32 %r0, %r1, %r2, %r3, 0xe2", {0xff00ff00, 0x12345678, 0x9abcdef0}) ==
        0x9a88de80);  // (~b & c) | (a & b)
  CHECK(result_of("shf.l.wrap.b32 %r0, %r1, %r2, %r3", {0x12345678, 0x9abcdef0, 40}) == 0xbcdef012);
  CHECK(result_of("shf.r.wrap.b32 %r0, %r1, %r2, %r3", {0x12345678, 0x9abcdef0, 40}) == 0xf0123456);
}

}  // namespace minicpm::test
