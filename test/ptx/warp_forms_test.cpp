// Every form that lanes run together, written by hand. What nvcc makes of port.h's is in
// nvcc_kernels_test.cpp.
#include "kernels/half.h"
#include "test/kernels/test.h"
#include "test/ptx/kernel_text.h"

namespace minicpm::test {

namespace {

/// What an operation gives each lane: `text` makes %r5 and %p5 of %r1, the lane, and %r2, 100 + it.
/// %p5 is in bit 32.
std::vector<uint64_t> of_lanes(const std::string& text) {
  return run_text("mov.u32 %r1, %laneid;\nadd.u32 %r2, %r1, 100;\nmov.pred %p5, 0;\n" + text +
                  "cvt.u64.u32 %rd1, %r5;\nselp.b64 %rd2, 1, 0, %p5;\nshl.b64 %rd2, %rd2, 32;\n"
                  "or.b64 %rd1, %rd1, %rd2;\n" +
                  keep("%rd1"));
}

constexpr uint64_t kInside = 1ull << 32;

}  // namespace

TEST("PTX shuffles give each lane the number that its mode names, or its own beyond the end") {
  struct Row {
    const char* text;
    uint64_t of_lane_5, of_lane_30;
  };
  const Row rows[] = {{"idx.b32 %r5|%p5, %r2, 9, 31, -1", kInside | 109, kInside | 109},
                      // In eights: segments of 8 lanes are mask 24, clamp 31.
                      {"idx.b32 %r5|%p5, %r2, 9, 6175, -1", kInside | 101, kInside | 125},
                      {"bfly.b32 %r5|%p5, %r2, 6, 31, -1", kInside | 103, kInside | 124},
                      {"up.b32 %r5|%p5, %r2, 7, 0, -1", 105, kInside | 123},
                      {"up.b32 %r5|%p5, %r2, 3, 6144, -1", kInside | 102, kInside | 127},
                      {"down.b32 %r5|%p5, %r2, 3, 31, -1", kInside | 108, 130},
                      {"down.b32 %r5|%p5, %r2, 3, 6175, -1", 105, 130},
                      {"down.b32 %r5, %r2, 1, 31, -1", 106, 131}};
  for (const Row& row : rows) {
    const std::vector<uint64_t> got = of_lanes(std::string("shfl.sync.") + row.text + ";\n");
    if (got[5] != row.of_lane_5 || got[30] != row.of_lane_30) fail(__FILE__, __LINE__, row.text);
  }
  CHECK(complaint_of("mov.u32 %r1, %laneid;\nsetp.gt.u32 %p1, %r1, 15;\n@%p1 ret;\n"
                     "shfl.sync.idx.b32 %r2|%p2, %r1, 20, 31, -1;")
            .find("a lane that takes no part") != std::string::npos);
}

TEST("PTX votes, matches and sums tell every lane the same of all") {
  const std::string low = "setp.lt.u32 %p1, %r1, 3;\nsetp.lt.u32 %p2, %r1, 99;\n";
  CHECK(of_lanes(low + "vote.sync.ballot.b32 %r5, %p1, -1;\n")[31] == 7);
  CHECK(of_lanes(low + "vote.sync.ballot.b32 %r5, !%p1, -1;\n")[0] == 0xfffffff8);
  CHECK(of_lanes(low + "vote.sync.any.pred %p5, %p1, -1;\nmov.u32 %r5, 0;\n")[31] == kInside);
  CHECK(of_lanes(low + "vote.sync.any.pred %p5, !%p2, -1;\nmov.u32 %r5, 0;\n")[31] == 0);
  CHECK(of_lanes(low + "vote.sync.all.pred %p5, %p1, -1;\nmov.u32 %r5, 0;\n")[0] == 0);
  CHECK(of_lanes(low + "vote.sync.all.pred %p5, %p2, -1;\nmov.u32 %r5, 0;\n")[0] == kInside);
  CHECK(of_lanes("and.b32 %r3, %r1, 7;\nmatch.any.sync.b32 %r5, %r3, -1;\n")[10] == 0x04040404);
  CHECK(of_lanes("and.b32 %r3, %r1, 15;\ncvt.u64.u32 %rd3, %r3;\nshl.b64 %rd3, %rd3, 40;\n"
                 "match.any.sync.b64 %r5, %rd3, -1;\n")[20] == 0x00100010);
  const auto reduced = [](const char* text) {
    return of_lanes(std::string("sub.s32 %r3, %r1, 3;\nredux.sync.") + text +
                    " %r5, %r3, -1;\n")[9];
  };
  CHECK(reduced("add.s32") == 496 - 96);
  CHECK(reduced("add.u32") == 496 - 96);
  CHECK(reduced("min.s32") == 0xfffffffd);
  CHECK(reduced("min.u32") == 0);
  CHECK(reduced("max.s32") == 28);
  CHECK(reduced("max.u32") == 0xffffffff);
  CHECK(reduced("and.b32") == 0);
  CHECK(reduced("or.b32") == 0xffffffff);
  CHECK(of_lanes("mov.u32 %r5, 4;\nbar.warp.sync -1;\nnanosleep.u32 20;\nmembar.gl;\nmembar.cta;\n"
                 "fence.sc.gpu;\nfence.acq_rel.gpu;\nactivemask.b32 %r5;\n")[3] == 0xffffffff);
}

TEST("PTX loads one, two and four matrices, as they are and transposed") {
  // Row l holds 256 l + 0, 1, ... 7; a lane's register is two of them.
  const std::string fill =
      "mov.u32 %r1, %laneid;\nshl.b32 %r2, %r1, 4;\nmov.u32 %r3, tile;\nadd.u32 %r4, %r3, %r2;\n"
      "shl.b32 %r5, %r1, 8;\nmov.u32 %r6, 0;\n"
      "loop:\nor.b32 %r7, %r5, %r6;\nst.shared.u16 [%r4], %r7;\nadd.u32 %r4, %r4, 2;\n"
      "add.u32 %r6, %r6, 1;\nsetp.lt.u32 %p1, %r6, 8;\n@%p1 bra loop;\nbar.warp.sync -1;\n"
      "add.u32 %r4, %r3, %r2;\nmov.b32 %r8, 0;\nmov.b32 %r9, 0;\nmov.b32 %r10, 0;\nmov.b32 %r11, "
      "0;\n";
  const std::string tile = ".shared .align 16 .b8 tile[512];\n";
  for (const char* count : {"1", "2", "4"}) {
    for (bool transposed : {false, true}) {
      const unsigned last = static_cast<unsigned>(*count - '0') - 1;
      const std::string lists[] = {"{%r8}", "{%r8, %r9}", "", "{%r8, %r9, %r10, %r11}"};
      const std::string load = std::string("ldmatrix.sync.aligned.m8n8.x") + count +
                               (transposed ? ".trans" : "") + ".shared.b16 " + lists[last] +
                               ", [%r4];\ncvt.u64.u32 %rd1, %r" + std::to_string(8 + last) + ";\n";
      const std::vector<uint64_t> got = run_text(fill + load + keep("%rd1"), 32, tile);
      for (uint64_t lane = 0; lane < 32; lane++) {
        const uint64_t r = lane / 4, c = lane % 4 * 2, first = last * 8;
        const auto at = [&](uint64_t row, uint64_t column) { return (first + row) << 8 | column; };
        const uint64_t expected =
            transposed ? at(c, r) | at(c + 1, r) << 16 : at(r, c) | at(r, c + 1) << 16;
        CHECK(got[lane] == expected);
      }
    }
  }
  CHECK(complaint_of("mov.u32 %r1, %laneid;\nsetp.gt.u32 %p1, %r1, 15;\n@%p1 ret;\n"
                     "mov.u32 %r4, tile;\n"
                     "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r8}, [%r4];",
                     32, tile)
            .find("lanes have ended that it needs") != std::string::npos);
}

}  // namespace minicpm::test
