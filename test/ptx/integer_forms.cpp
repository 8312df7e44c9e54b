// Whole numbers, bits and predicates.
#include <algorithm>
#include <bit>
#include <type_traits>

#include "test/ptx/lanes.h"

namespace minicpm::ptx {

namespace {

template <typename T>
constexpr uint32_t kBits = sizeof(T) * 8;

/// Twice as many bits.
template <typename T>
using Wide = std::conditional_t<
    sizeof(T) == 2, std::conditional_t<std::is_signed_v<T>, int32_t, uint32_t>,
    std::conditional_t<sizeof(T) == 4, std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>,
                       std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>>>;

/// What overflows wraps.
template <typename T>
struct Unsigned : std::make_unsigned<T> {};
template <>
struct Unsigned<__int128> {
  using type = unsigned __int128;
};
template <>
struct Unsigned<unsigned __int128> {
  using type = unsigned __int128;
};
template <typename T>
using Wrapping = typename Unsigned<T>::type;

constexpr const char* kNumbers = "s16 u16 s32 u32 s64 u64";
constexpr const char* kWideable = "s16 u16 s32 u32";
constexpr const char* kSigned = "s16 s32 s64";
constexpr const char* kBitTypes = "b16 b32 b64";

template <typename T>
T product(T a, T b) {
  return static_cast<T>(static_cast<Wide<T>>(a) * static_cast<Wide<T>>(b));
}

/// A setp and its kin with .and, .or and .xor of a further predicate.
template <typename Compare>
void add_comparison(Forms& forms, const std::string& name, const std::string& types, Compare) {
  forms.integers("setp." + name, types,
                 []<typename T>(T a, T b) -> bool { return Compare{}(a, b); });
  forms.integers("setp." + name + ".and", types,
                 []<typename T>(T a, T b, bool c) -> bool { return Compare{}(a, b) && c; });
  forms.integers("setp." + name + ".or", types,
                 []<typename T>(T a, T b, bool c) -> bool { return Compare{}(a, b) || c; });
}

void add_arithmetic(Forms& forms) {
  forms.integers("add", kNumbers, []<typename T>(T a, T b) -> T {
    return static_cast<T>(static_cast<Wrapping<T>>(a) + static_cast<Wrapping<T>>(b));
  });
  forms.integers("sub", kNumbers, []<typename T>(T a, T b) -> T {
    return static_cast<T>(static_cast<Wrapping<T>>(a) - static_cast<Wrapping<T>>(b));
  });
  forms.integers("mul.lo", kNumbers, []<typename T>(T a, T b) -> T { return product(a, b); });
  forms.integers("mul.hi", kNumbers, []<typename T>(T a, T b) -> T {
    return static_cast<T>(static_cast<Wide<T>>(a) * static_cast<Wide<T>>(b) >> kBits<T>);
  });
  forms.integers("mul.wide", kWideable, []<typename T>(T a, T b) -> Wide<T> {
    return static_cast<Wide<T>>(static_cast<Wide<T>>(a) * static_cast<Wide<T>>(b));
  });
  forms.integers("mad.lo", kNumbers, []<typename T>(T a, T b, T c) -> T {
    return static_cast<T>(static_cast<Wrapping<T>>(product(a, b)) + static_cast<Wrapping<T>>(c));
  });
  forms.integers("mad.wide", kWideable, []<typename T>(T a, T b, Wide<T> c) -> Wide<T> {
    using U = Wrapping<Wide<T>>;
    const auto wide = static_cast<Wide<T>>(static_cast<Wide<T>>(a) * static_cast<Wide<T>>(b));
    return static_cast<Wide<T>>(static_cast<U>(wide) + static_cast<U>(c));
  });
  // By zero: all bits, as GPUs give; the smallest number by -1: itself.
  forms.integers("div", kNumbers, []<typename T>(T a, T b) -> T {
    return static_cast<T>(b == 0 ? static_cast<T>(-1) : static_cast<Wide<T>>(a) / b);
  });
  forms.integers("rem", kNumbers, []<typename T>(T a, T b) -> T {
    return static_cast<T>(b == 0 ? static_cast<T>(-1) : static_cast<Wide<T>>(a) % b);
  });
  forms.integers("min", kNumbers, []<typename T>(T a, T b) -> T { return std::min(a, b); });
  forms.integers("max", kNumbers, []<typename T>(T a, T b) -> T { return std::max(a, b); });
  forms.integers("abs", kSigned, []<typename T>(T a) -> T {
    return static_cast<T>(a < 0 ? Wrapping<T>{} - static_cast<Wrapping<T>>(a) : a);
  });
  forms.integers("neg", kSigned, []<typename T>(T a) -> T {
    return static_cast<T>(Wrapping<T>{} - static_cast<Wrapping<T>>(a));
  });
  // The sum of four products of bytes, and c.
  forms.one("dp4a.s32.s32", [](uint32_t a, uint32_t b, uint32_t c) -> uint32_t {
    for (int i = 0; i < 32; i += 8) {
      c += static_cast<uint32_t>(static_cast<int8_t>(a >> i) * static_cast<int8_t>(b >> i));
    }
    return c;
  });
  forms.one("dp4a.u32.s32", [](uint32_t a, uint32_t b, uint32_t c) -> uint32_t {
    for (int i = 0; i < 32; i += 8) {
      c += static_cast<uint32_t>(static_cast<uint8_t>(a >> i) * static_cast<int8_t>(b >> i));
    }
    return c;
  });
}

void add_bits(Forms& forms) {
  forms.integers("and", kBitTypes, []<typename T>(T a, T b) -> T { return a & b; });
  forms.integers("or", kBitTypes, []<typename T>(T a, T b) -> T { return a | b; });
  forms.integers("xor", kBitTypes, []<typename T>(T a, T b) -> T { return a ^ b; });
  forms.integers("not", kBitTypes, []<typename T>(T a) -> T { return static_cast<T>(~a); });
  forms.one("and.pred", [](bool a, bool b) -> bool { return a && b; });
  forms.one("or.pred", [](bool a, bool b) -> bool { return a || b; });
  forms.one("xor.pred", [](bool a, bool b) -> bool { return a != b; });
  forms.one("not.pred", [](bool a) -> bool { return !a; });
  forms.integers("shl", kBitTypes, []<typename T>(T a, uint32_t count) -> T {
    return static_cast<T>(count < kBits<T> ? a << count : 0);
  });
  const auto right = []<typename T>(T a, uint32_t count) -> T {
    return static_cast<T>(a >> std::min(count, kBits<T> - 1) >> (count >= kBits<T>));
  };
  forms.integers("shr", kNumbers, right);
  forms.integers("shr", kBitTypes, right);
  forms.integers("popc", "b32 b64", []<typename T>(T a) -> uint32_t {
    return static_cast<uint32_t>(std::popcount(static_cast<Wrapping<T>>(a)));
  });
  forms.integers("clz", "b32 b64", []<typename T>(T a) -> uint32_t {
    return static_cast<uint32_t>(std::countl_zero(static_cast<Wrapping<T>>(a)));
  });
  forms.integers("brev", "b32 b64", []<typename T>(T a) -> T {
    T reversed = 0;
    for (uint32_t i = 0; i < kBits<T>; i++) reversed |= (a >> i & 1) << (kBits<T> - 1 - i);
    return reversed;
  });
  // `length` bits of a from `start` on; beyond the end, zeros or the sign.
  forms.integers(
      "bfe", "s32 u32 s64 u64", []<typename T>(T a, uint32_t start, uint32_t length) -> T {
        start &= 255, length &= 255;
        if (length == 0) return 0;
        const auto wide = static_cast<Wide<T>>(a) >> std::min(start, kBits<T>);
        const uint32_t away = kBits<Wide<T>> - std::min(length, kBits<T>);
        using U = std::conditional_t<sizeof(T) == 8, unsigned __int128, uint64_t>;
        return static_cast<T>(static_cast<Wide<T>>(static_cast<U>(wide) << away) >> away);
      });
  // The first `length` bits of a put into b from `start` on.
  forms.integers("bfi", "b32 b64", []<typename T>(T a, T b, uint32_t start, uint32_t length) -> T {
    start &= 255, length &= 255;
    if (start >= kBits<T> || length == 0) return b;
    const T ones = length >= kBits<T> ? ~T{0} : (T{1} << length) - 1;
    return (b & ~(ones << start)) | (a & ones) << start;
  });
  // Four bytes out of the eight of a and b; a selector's bit 3 repeats the sign.
  forms.one("prmt.b32", [](uint32_t a, uint32_t b, uint32_t selectors) -> uint32_t {
    const uint64_t bytes = uint64_t{b} << 32 | a;
    uint32_t picked = 0;
    for (int i = 0; i < 4; i++) {
      const uint32_t selector = selectors >> i * 4 & 15;
      const auto byte = static_cast<uint8_t>(bytes >> (selector & 7) * 8);
      const uint32_t given = selector & 8 ? (byte & 128 ? 255 : 0) : byte;
      picked |= given << i * 8;
    }
    return picked;
  });
  // Bit by bit what the table says at (a, b, c), a's bit the highest.
  forms.one("lop3.b32", [](uint32_t a, uint32_t b, uint32_t c, uint32_t table) -> uint32_t {
    uint32_t result = 0;
    for (uint32_t i = 0; i < 8; i++) {
      if (table >> i & 1) result |= (i & 4 ? a : ~a) & (i & 2 ? b : ~b) & (i & 1 ? c : ~c);
    }
    return result;
  });
  // b:a shifted; the upper or lower half.
  forms.one("shf.l.wrap.b32", [](uint32_t a, uint32_t b, uint32_t count) -> uint32_t {
    return static_cast<uint32_t>((uint64_t{b} << 32 | a) << (count & 31) >> 32);
  });
  forms.one("shf.r.wrap.b32", [](uint32_t a, uint32_t b, uint32_t count) -> uint32_t {
    return static_cast<uint32_t>((uint64_t{b} << 32 | a) >> (count & 31));
  });
}

void add_choices(Forms& forms) {
  add_comparison(forms, "eq", kNumbers, [](auto a, auto b) { return a == b; });
  add_comparison(forms, "ne", kNumbers, [](auto a, auto b) { return a != b; });
  add_comparison(forms, "eq", kBitTypes, [](auto a, auto b) { return a == b; });
  add_comparison(forms, "ne", kBitTypes, [](auto a, auto b) { return a != b; });
  add_comparison(forms, "lt", kNumbers, [](auto a, auto b) { return a < b; });
  add_comparison(forms, "le", kNumbers, [](auto a, auto b) { return a <= b; });
  add_comparison(forms, "gt", kNumbers, [](auto a, auto b) { return a > b; });
  add_comparison(forms, "ge", kNumbers, [](auto a, auto b) { return a >= b; });
  const auto select = []<typename T>(T a, T b, bool condition) -> T { return condition ? a : b; };
  forms.integers("selp", kNumbers, select);
  forms.integers("selp", kBitTypes, select);
  forms.floats("selp", "f32 f64", select);
}

}  // namespace

void add_integer_forms(Forms& forms) {
  add_arithmetic(forms);
  add_bits(forms);
  add_choices(forms);
}

}  // namespace minicpm::ptx
