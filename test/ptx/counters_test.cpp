// What the counters say of accesses whose cost is known.
#include "test/ptx/counters.h"

#include <utility>

#include "test/kernels/test.h"
#include "test/ptx/kernel_text.h"

namespace minicpm::test {

namespace {

/// Counts of one access by 32 lanes, `stride` bytes apart, of memory that 4,096 bytes long.
ptx::Counters count(const std::string& access, unsigned stride) {
  const std::string text = "mov.u32 %r1, %laneid;\nmul.lo.s32 %r2, %r1, " + std::to_string(stride) +
                           ";\nmov.u32 %r3, tile;\nadd.s32 %r3, %r3, %r2;\nmov.u64 %rd1, data;\n"
                           "cvt.u64.u32 %rd2, %r2;\nadd.s64 %rd1, %rd1, %rd2;\n" +
                           access + ";\n";
  const ptx::Counters before = std::exchange(ptx::counters, {});
  const bool counted = std::exchange(ptx::counting, true);
  run_text(text, 32, ".shared .align 16 .b8 tile[4096];\n.global .align 16 .b8 data[4096];\n");
  ptx::counting = counted;
  return std::exchange(ptx::counters, before);
}

bool sectors(const ptx::Counters& counted, uint64_t sectors, uint64_t ideal) {
  return counted.global_accesses == 1 && counted.global_sectors == sectors &&
         counted.global_ideal == ideal;
}

bool wavefronts(const ptx::Counters& counted, uint64_t wavefronts, uint64_t ideal) {
  return counted.shared_accesses == 1 && counted.shared_wavefronts == wavefronts &&
         counted.shared_ideal == ideal;
}

}  // namespace

TEST("PTX counts sectors: as few as the bytes need side by side, one a lane far apart") {
  const std::string load = "ld.global.u32 %r4, [%rd1]",
                    vector = "ld.global.v4.u32 {%r4, %r5, %r6, %r7}, [%rd1]";
  CHECK(sectors(count(load, 4), 4, 4));
  CHECK(sectors(count(load, 8), 8, 4));
  CHECK(sectors(count(load, 128), 32, 4));
  CHECK(sectors(count(load, 0), 1, 1));
  CHECK(sectors(count(vector, 16), 16, 16));
  CHECK(sectors(count("st.global.u8 [%rd1], %r4", 1), 1, 1));
  CHECK(sectors(count("cvta.shared.u64 %rd3, 0;\nld.u32 %r4, [%rd1]", 4), 4, 4));
  const ptx::Counters by_vectors = count(vector, 16), by_words = count(load, 4);
  CHECK(by_vectors.loaded_bytes == 512 && by_vectors.loaded_vector_bytes == 512);
  CHECK(by_words.loaded_bytes == 128 && by_words.loaded_vector_bytes == 0);
}

TEST(
    "PTX counts wavefronts: one where lanes have banks of their own, one a lane where they share") {
  const std::string store = "st.shared.u32 [%r3], %r1";
  CHECK(wavefronts(count(store, 4), 1, 1));
  CHECK(wavefronts(count(store, 8), 2, 1));
  CHECK(wavefronts(count(store, 128), 32, 1));
  CHECK(wavefronts(count(store, 0), 1, 1));  // all to one word
  CHECK(wavefronts(count("st.shared.v4.u32 [%r3], {%r1, %r1, %r1, %r1}", 16), 4, 4));
  CHECK(wavefronts(count("st.shared.v4.u32 [%r3], {%r1, %r1, %r1, %r1}", 32), 8, 4));
}

TEST("PTX counts instructions by opcode, lanes that take part, and branches that part them") {
  const ptx::Counters counted = count(
      "setp.lt.u32 %p1, %r1, 8;\n@%p1 bra low;\nadd.s32 %r4, %r1, 1;\nlow:\n"
      "@%p1 mul.lo.s32 %r4, %r1, 3",
      0);
  CHECK(counted.divergent_branches == 1);
  CHECK(counted.by_opcode.at("add.s32") == 2 && counted.by_opcode.at("mul.lo.s32") == 2);
  CHECK(counted.instructions == 13);
  CHECK(counted.lane_instructions == 13 * 32 - 24 - 8 - 24);
  const std::string report = counted.report();
  CHECK(report.find("13  warp instructions") != std::string::npos);
  CHECK(report.find("2  mul.lo.s32") != std::string::npos);
}

}  // namespace minicpm::test
