// Every form that touches memory, in every space.
#include <bit>
#include <cstring>

#include "test/kernels/test.h"
#include "test/ptx/kernel_text.h"

namespace minicpm::test {

namespace {

const std::string kArrays = ".shared .align 16 .b8 tile[64];\n.global .align 16 .b8 data[64];\n";

/// Copies what is given to the shared array and the one in device memory, 32 bytes from `at` on.
std::string fill(unsigned at) {
  std::string text;
  for (unsigned i = 0; i < 32; i += 8) {
    const std::string place = std::to_string(at + i);
    text += "ld.param.b64 %rd1, [given+" + std::to_string(i) + "];\nst.shared.b64 [tile+" + place +
            "], %rd1;\nst.global.b64 [data+" + place + "], %rd1;\n";
  }
  return text;
}

uint64_t given_number(unsigned at, unsigned bytes) {
  uint64_t number = 0;
  for (unsigned i = 0; i < bytes; i++) number |= uint64_t{given_byte(at + i)} << 8 * i;
  return number;
}

/// Ways to name 16 bytes after the start of an array: what goes before, and the address.
struct Base {
  std::string before, address;
};

Base base_of(ptx::Space space, bool shared) {
  if (space == ptx::Space::param) return {"", "[given+16]"};
  if (space == ptx::Space::shared) return {"mov.u32 %r12, tile;\n", "[%r12+16]"};
  if (space == ptx::Space::global) return {"mov.u64 %rd12, data;\n", "[%rd12+16]"};
  if (shared) {
    return {"mov.u64 %rd12, tile;\ncvta.shared.u64 %rd12, %rd12;\nadd.s64 %rd12, %rd12, 32;\n",
            "[%rd12+-16]"};
  }
  return {"mov.u64 %rd12, data;\n", "[%rd12+16]"};
}

std::string register_for(const std::string& type, unsigned index) {
  const std::string number = std::to_string(index);
  if (type == "f32") return "%f" + number;
  if (type == "f64") return "%fd" + number;
  const unsigned bits = static_cast<unsigned>(std::stoi(type.substr(1)));
  return (bits == 64 ? "%rd" : bits == 32 ? "%r" : "%rs") + number;
}

std::string type_of(const std::string& name) {
  return name.substr(name.rfind('.') + 1);
}

std::string list_of(const std::string& type, unsigned count) {
  std::string list;
  for (unsigned i = 0; i < count; i++) {
    list += (i ? ", " : "") + register_for(type, i + 1);
  }
  return count == 1 ? list : "{" + list + "}";
}

/// To %rd14, as many bits as the register has.
std::string widened(const std::string& type, unsigned index) {
  const std::string from = register_for(type, index);
  if (from[1] == 'f')
    return "mov.b" + type.substr(1) + (type == "f32" ? " %r14, " : " %rd14, ") + from + ";\n" +
           (type == "f32" ? "cvt.u64.u32 %rd14, %r14;\n" : "");
  if (from[1] == 'r' && from[2] == 'd') return "mov.b64 %rd14, " + from + ";\n";
  return std::string("cvt.u64.") + (from[2] == 's' ? "u16" : "u32") + " %rd14, " + from + ";\n";
}

void check_load(const ptx::Form& form, bool shared) {
  const std::string type = type_of(form.name);
  const Base base = base_of(form.space, shared);
  std::string text = fill(0) + base.before + form.name + " " + list_of(type, form.count) + ", " +
                     base.address + ";\n";
  for (unsigned i = 0; i < form.count; i++) {
    text += widened(type, i + 1) + "st.global.b64 [%rd15+" + std::to_string(i * 8) + "], %rd14;\n";
  }
  const std::vector<uint64_t> got = run_text(text, 4, kArrays);
  const unsigned held = form.bytes < 2 ? 2 : form.bytes;
  for (unsigned i = 0; i < form.count; i++) {
    uint64_t expected = given_number(16 + i * form.bytes, form.bytes);
    const unsigned away = 64 - form.bytes * 8;
    if (type[0] == 's') {
      expected = static_cast<uint64_t>(static_cast<int64_t>(expected << away) >> away);
    }
    expected = expected << (64 - held * 8) >> (64 - held * 8);
    if (got[i] != expected) fail(__FILE__, __LINE__, form.name + ", number " + std::to_string(i));
  }
}

void check_store(const ptx::Form& form, bool shared) {
  const std::string type = type_of(form.name);
  const Base base = base_of(form.space, shared);
  std::string text = fill(0);
  // The registers hold what stands at the start.
  for (unsigned i = 0; i < form.count; i++) {
    text += "ld.param." + type + " " + register_for(type, i + 1) + ", [given+" +
            std::to_string(i * form.bytes) + "];\n";
  }
  text += base.before + form.name + " " + base.address + ", " + list_of(type, form.count) + ";\n";
  for (unsigned i = 0; i < 4; i++) {
    const std::string at = std::to_string(i * 8);
    text += (shared ? "ld.shared.b64 %rd1, [tile+" : "ld.global.b64 %rd1, [data+") + at +
            "];\nst.global.b64 [%rd15+" + at + "], %rd1;\n";
  }
  const std::vector<uint64_t> got = run_text(text, 4, kArrays);
  for (unsigned i = 0; i < 32; i++) {
    const bool stored = i >= 16 && i < 16 + form.bytes * form.count;
    const auto byte = static_cast<uint8_t>(got[i / 8] >> i % 8 * 8);
    if (byte != given_byte(stored ? i - 16 : i)) fail(__FILE__, __LINE__, form.name);
  }
}

struct Change {
  const char* name;
  uint64_t before, b, c, after;
};

uint64_t bits(float x) {
  return std::bit_cast<uint32_t>(x);
}

const Change kChanges[] = {{"add.u32", 5, 0xfffffffe, 0, 3},
                           {"add.s32", 5, 0xfffffff0, 0, 0xfffffff5},
                           {"add.u64", 1ull << 40, 1ull << 41, 0, 3ull << 40},
                           {"add.f32", bits(1.5f), bits(-4), 0, bits(-2.5f)},
                           {"min.u32", 5, 0xfffffffe, 0, 5},
                           {"min.s32", 5, 0xfffffffe, 0, 0xfffffffe},
                           {"max.u32", 5, 0xfffffffe, 0, 0xfffffffe},
                           {"max.s32", 5, 0xfffffffe, 0, 5},
                           {"and.b32", 0b1100, 0b1010, 0, 0b1000},
                           {"or.b32", 0b1100, 0b1010, 0, 0b1110},
                           {"exch.b32", 5, 6, 0, 6},
                           {"exch.b64", 5ull << 40, 6, 0, 6},
                           {"cas.b32", 5, 5, 7, 7},
                           {"cas.b32", 5, 6, 7, 5},
                           {"cas.b64", 5ull << 40, 5ull << 40, 7, 7}};

}  // namespace

TEST("PTX loads and stores every type, alone and in vectors, in every space") {
  for (const ptx::Form& form : ptx::Forms::known().all()) {
    const bool generic = form.space == ptx::Space::generic;
    const bool shared = form.space == ptx::Space::shared;
    if (form.name.starts_with("ld.")) {
      check_load(form, shared);
      if (generic) check_load(form, true);
    }
    if (form.name.starts_with("st.")) {
      check_store(form, shared);
      if (generic) check_store(form, true);
    }
  }
}

TEST("PTX changes numbers in memory in one step, and gives what was there") {
  for (const Change& change : kChanges) {
    const std::string name = change.name, type = type_of(name);
    const bool wide = type.substr(1) == "64", compares = name.starts_with("cas");
    const std::string mov = wide ? "mov.b64 %rd" : "mov.b32 %r", kind = wide ? "%rd" : "%r";
    for (const char* space : {"", ".global", ".shared"}) {
      const bool shared = space == std::string(".shared");
      const std::string array = shared ? "tile" : "data";
      const std::string word = std::string(shared ? "shared" : "global") + (wide ? ".b64" : ".b32");
      const auto number = [&](int index, uint64_t x) {
        return mov + std::to_string(index) + ", " + std::to_string(x) + ";\n";
      };
      std::string text = number(1, change.before) + number(2, change.b) + number(3, change.c) +
                         "st." + word + " [" + array + "+8], " + kind + "1;\nmov.u64 %rd12, " +
                         array + ";\n";
      const std::string operands =
          ", [%rd12+8], " + kind + "2" + (compares ? ", " + kind + "3" : "") + ";\n";
      text += std::string("atom") + space + "." + name + " " + kind + "4" + operands;
      text += "ld." + word + " " + kind + "5, [" + array + "+8];\n";
      text += wide ? "" : "cvt.u64.u32 %rd4, %r4;\ncvt.u64.u32 %rd5, %r5;\n";
      text += "st.global.b64 [%rd15], %rd4;\nst.global.b64 [%rd15+8], %rd5;\n";
      const std::vector<uint64_t> got = run_text(text, 2, kArrays);
      // Both threads do it, one after the other, and the second is seen where it wrote last.
      const std::vector<uint64_t> one = run_text(
          "mov.u32 %r0, %tid.x;\nsetp.ne.u32 %p0, %r0, 0;\n"
          "@%p0 ret;\n" +
              text,
          2, kArrays);
      CHECK(one[0] == change.before && one[1] == change.after);
      if (name.starts_with("exch") || name.starts_with("cas")) continue;
      std::string red = text;
      const size_t at = red.find("atom");
      red.replace(at, red.find('\n', at) - at,
                  std::string("red") + space + "." + name + " [%rd12+8], " + kind + "2;");
      red.insert(0, "mov.u32 %r4, 0;\nmov.u64 %rd4, 0;\n");
      CHECK(run_text("mov.u32 %r0, %tid.x;\nsetp.ne.u32 %p0, %r0, 0;\n@%p0 ret;\n" + red, 2,
                     kArrays)[1] == change.after);
    }
  }
  CHECK(run_text("mov.u32 %r1, 0;\nst.shared.u32 [tile], %r1;\nbar.sync 0;\n"
                 "atom.shared.add.u32 _, [tile], 1;\nred.shared.add.u32 [tile], 2;\nbar.sync 0;\n"
                 "ld.shared.u32 %rd1, [tile];\n" +
                     keep("%rd1"),
                 70, kArrays)[69] == 210);
}

TEST("PTX copies asynchronously, a group at a time, and no sooner than it is waited for") {
  for (const char* kind : {"ca", "cg"}) {
    const std::string copy = std::string("cp.async.") + kind + ".shared.global ";
    const std::string text =
        fill(0) + "mov.u32 %r1, tile;\nmov.u64 %rd1, data;\nmov.u32 %r2, 4;\n" + copy +
        "[%r1+32], [%rd1], 16;\ncp.async.commit_group;\n" + copy +
        "[%r1+48], [%rd1+16], 16, %r2;\ncp.async.commit_group;\n"
        "mov.b64 %rd2, 5;\nst.global.b64 [data+8], %rd2;\ncp.async.wait_group 1;\n"
        "ld.shared.b64 %rd3, [tile+40];\ncp.async.wait_group 0;\nld.shared.b64 %rd4, [tile+48];\n"
        "st.global.b64 [%rd15], %rd3;\nst.global.b64 [%rd15+8], %rd4;\n"
        "ld.shared.b64 %rd5, [tile+56];\nst.global.b64 [%rd15+16], %rd5;\n";
    const std::vector<uint64_t> got = run_text(text, 3, kArrays);
    CHECK(got[0] == 5);  // of the last moment
    CHECK(got[1] == given_number(16, 4));
    CHECK(got[2] == 0);
    const std::string early = text.substr(0, text.find("cp.async.wait_group 1"));
    CHECK(complaint_of(early + "ld.shared.b64 %rd3, [tile+40];", 3, kArrays)
              .find("nobody wrote, at byte 40") != std::string::npos);
    CHECK(complaint_of(early, 3, kArrays).find("not waited for") != std::string::npos);
  }
}

}  // namespace minicpm::test
