// How threads run: branches, meetings, barriers; and what a kernel must not do, seeded on purpose.
#include <cstdio>
#include <cstring>

#include "test/kernels/test.h"
#include "test/ptx/kernel_text.h"

namespace minicpm::test {

namespace {

const std::string kLane = "mov.u32 %r1, %laneid;\nmov.u32 %r2, %tid.x;\n";
const std::string kTile = ".shared .align 16 .b8 tile[256];\n";

/// The kernel is refused or faults with these words.
bool fails_with(const std::string& words, const std::string& body, unsigned threads = 32) {
  const std::string complaint = complaint_of(body, threads, kTile);
  if (complaint.find(words) != std::string::npos) return true;
  std::printf("  '%s' instead of '%s'\n", complaint.c_str(), words.c_str());
  return false;
}

}  // namespace

TEST("PTX threads part at branches, meet again behind them, and each goes its own way") {
  // Each lane adds its number to the sum as many times; then all vote.
  const std::vector<uint64_t> sums =
      run_text(kLane +
               "mov.u32 %r3, 0;\nmov.u32 %r4, 0;\n"
               "loop:\nsetp.ge.u32 %p1, %r3, %r1;\n@%p1 bra done;\n"
               "add.u32 %r4, %r4, %r1;\nadd.u32 %r3, %r3, 1;\nbra.uni loop;\n"
               "done:\nsetp.gt.u32 %p2, %r4, 10;\nvote.sync.ballot.b32 %r5, %p2, -1;\n"
               "mov.b64 %rd1, {%r4, %r5};\n" +
               keep("%rd1"));
  for (uint64_t lane = 0; lane < 32; lane++) {
    CHECK(sums[lane] == (0xfffffff000000000 | lane * lane));  // from lane 4 on more than 10
  }
  const std::vector<uint64_t> odd =
      run_text(kLane +
               "and.b32 %r3, %r1, 1;\nsetp.eq.u32 %p1, %r3, 1;\nmov.b64 %rd1, 7;\n"
               "@!%p1 bra even;\nactivemask.b32 %r4;\ncvt.u64.u32 %rd1, %r4;\n@%p1 bra end;\n"
               "even:\nmov.b64 %rd1, 8;\nend:\n" +
               keep("%rd1"));
  CHECK(odd[3] == 0xaaaaaaaa && odd[4] == 8);
}

TEST("PTX guards keep lanes from an instruction, and ended threads do nothing more") {
  const std::vector<uint64_t> out = run_text(
      kLane +
      "mov.b64 %rd1, 1;\nsetp.lt.u32 %p1, %r1, 5;\n@%p1 mov.b64 %rd1, 2;\n"
      "@!%p1 add.s64 %rd1, %rd1, 3;\n" +
      keep("%rd1") + "setp.gt.u32 %p2, %r1, 9;\n@%p2 exit;\nmov.b64 %rd1, 6;\n" + keep("%rd1"));
  CHECK(out[4] == 6 && out[9] == 6 && out[10] == 4);
}

TEST("PTX knows where a thread stands") {
  std::string text = "mov.u64 %rd1, 0;\n";
  for (const char* name :
       {"%tid.x", "%tid.y", "%tid.z", "%ntid.x", "%ntid.y", "%ntid.z", "%ctaid.x", "%ctaid.y",
        "%ctaid.z", "%nctaid.x", "%nctaid.y", "%nctaid.z"}) {
    text += std::string("mov.u32 %r1, ") + name +
            ";\ncvt.u64.u32 %rd2, %r1;\nshl.b64 %rd1, %rd1, 4;\nor.b64 %rd1, %rd1, %rd2;\n";
  }
  // One block of 37 threads in a row is what the other tests have; this is 3 x 2 x 2 of 2 x 3 x 4.
  const std::string whole =
      kernel_text(text +
                  "mov.u32 %r1, %ctaid.x;\nmov.u32 %r2, %tid.y;\nsetp.eq.u32 %p1, %r1, 1;\n"
                  "setp.eq.and.u32 %p1, %r2, 2, %p1;\nmov.u32 %r3, %tid.x;\n"
                  "setp.eq.and.u32 %p1, %r3, 0, %p1;\nmov.u32 %r4, %tid.z;\n"
                  "setp.eq.and.u32 %p1, %r4, 3, %p1;\nmov.u32 %r5, %ctaid.y;\n"
                  "setp.eq.and.u32 %p1, %r5, 1, %p1;\nmov.u32 %r6, %ctaid.z;\n"
                  "setp.eq.and.u32 %p1, %r6, 0, %p1;\n@%p1 st.global.b64 [%rd15], %rd1;\n");
  const ptx::Program program =
      ptx::parse(whole, [](const std::vector<std::byte>&) { return uint64_t{0}; });
  const ptx::Kernel& kernel = *program.kernels.at("test_kernel");
  ptx::Allocation* out = ptx::device_memory().allocate(8);
  std::vector<std::byte> arguments(kernel.parameter_bytes);
  std::memcpy(arguments.data(), &out->address, 8);
  ptx::run_kernel(kernel, {{3, 2, 2}, {2, 3, 4}, 0}, arguments, {true, 3});
  uint64_t got;
  std::memcpy(&got, out->bytes.data(), 8);
  CHECK(got == 0x023234110322);
  ptx::device_memory().free(out->address);
}

TEST("PTX barriers hold every thread of a block until all have come") {
  // Each of 70 threads writes its number; all read their mirror image's.
  CHECK(run_text(kLane +
                     "mov.u32 %r6, dynamic;\nshl.b32 %r3, %r2, 2;\nadd.u32 %r4, %r6, %r3;\n"
                     "st.shared.u32 [%r4], %r2;\nbar.sync 0;\nsub.u32 %r5, 276, %r3;\n"
                     "add.u32 %r5, %r5, %r6;\nld.shared.u32 %rd1, [%r5];\n" +
                     keep("%rd1"),
                 70, ".extern .shared .align 16 .b8 dynamic[];\n", 280)[3] == 66);
  const std::string vote = kLane + "setp.lt.u32 %p1, %r2, 37;\n";
  CHECK(run_text(vote + "bar.red.popc.u32 %r3, 0, %p1;\ncvt.u64.u32 %rd1, %r3;\n" + keep("%rd1"),
                 70)[69] == 37);
  CHECK(run_text(vote + "bar.red.popc.u32 %r3, 0, !%p1;\ncvt.u64.u32 %rd1, %r3;\n" + keep("%rd1"),
                 70)[0] == 33);
  for (const auto& [threads, both, either] : {std::tuple{30u, 1u, 1u}, {70u, 0u, 1u}}) {
    CHECK(
        run_text(vote + "bar.red.and.pred %p2, 0, %p1;\nselp.b64 %rd1, 1, 0, %p2;\n" + keep("%rd1"),
                 threads)[5] == both);
    CHECK(
        run_text(vote + "bar.red.or.pred %p2, 0, %p1;\nselp.b64 %rd1, 1, 0, %p2;\n" + keep("%rd1"),
                 threads)[5] == either);
  }
}

TEST("PTX kernels that reach where they must not are stopped with their line") {
  CHECK(fails_with("PTX line 14 (st.global.u32): 4 bytes at byte 256 of an allocation of 256",
                   "st.global.u32 [%rd15+256], %r1;"));
  CHECK(fails_with("16 bytes at byte 256 of an allocation",
                   "ld.global.v2.u64 {%rd2, %rd3}, [%rd15+256];"));
  CHECK(fails_with("8 bytes at byte 256 of an allocation", "ld.global.u64 %rd2, [%rd15+256];"));
  CHECK(fails_with("8 bytes in no allocation", "ld.global.u64 %rd2, [%rd15+-8];"));
  CHECK(fails_with("that are not device memory", "mov.u64 %rd1, 4096;\nld.u64 %rd2, [%rd1];"));
  CHECK(fails_with("no multiple of 4", "ld.global.u32 %r1, [%rd15+2];"));
  CHECK(fails_with("no multiple of 16", "ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%rd15+8];"));
  CHECK(fails_with("byte 256 of 256 bytes of shared memory", "st.shared.u32 [tile+256], %r1;"));
  CHECK(fails_with("shared memory that nobody wrote, at byte 8", "ld.shared.u32 %r1, [tile+8];"));
  CHECK(fails_with("beyond the parameters", "ld.param.u64 %rd1, [given+32];"));
  CHECK(complaint_of("ld.global.u32 %r1, [data];", 1, ".global .align 4 .b8 data[4];\n").empty());
  CHECK(fails_with("test_kernel, block 0,0,0", "st.global.u32 [%rd15+256], %r1;"));
}

TEST("PTX reads of device memory that was freed, or that nobody wrote, are stopped") {
  ptx::Allocation* fresh = ptx::device_memory().allocate(64);
  const std::string load =
      "mov.u64 %rd1, " + std::to_string(fresh->address) + ";\nld.global.u32 %r1, [%rd1+16];\n";
  CHECK(fails_with("device memory that nobody wrote: 4 bytes at byte 16", load));
  ptx::device_memory().free(fresh->address);
  CHECK(fails_with("4 bytes of freed memory, at byte 16 of an allocation of 64", load));
}

TEST("PTX barriers that not all threads reach are found, and so are endless waits") {
  const std::string half = kLane + "setp.lt.u32 %p1, %r2, 20;\n";
  CHECK(fails_with("of 64 threads 44 have ended before the barrier",
                   half + "@!%p1 ret;\nbar.sync 0;", 64));
  CHECK(fails_with("threads wait at different barriers",
                   half + "@%p1 bra other;\nbar.sync 0;\nbra.uni end;\nother:\nbar.sync 0;\nend:"));
  CHECK(fails_with("wait for each other for ever, in PTX lines",
                   half + "@%p1 bra other;\nbar.sync 0;\nbra.uni end;\nother:\n"
                          "bar.warp.sync -1;\nend:"));
  CHECK(fails_with("a lane is not in its own mask", "bar.warp.sync 15;"));
  CHECK(fails_with("different masks", kLane + "or.b32 %r3, %r1, -2;\nbar.warp.sync %r3;"));
  CHECK(fails_with("wait for each other for ever",
                   half + "@%p1 bra other;\nshfl.sync.bfly.b32 %r3|%p2, %r1, 1, 31, -1;\n"
                          "bra.uni end;\nother:\nvote.sync.any.pred %p3, %p1, -1;\nend:"));
}

TEST("PTX that the interpreter does not know is refused with its line, never passed over") {
  CHECK(fails_with("PTX line 14: the interpreter does not know 'add.cc.u32'",
                   "add.cc.u32 %r1, %r2, %r3;"));
  CHECK(fails_with("does not know 'call'", "call (%r1), function, (%r2);"));
  CHECK(fails_with("does not know 'add.rn.ftz.f32'", "add.rn.ftz.f32 %f1, %f2, %f3;"));
  CHECK(fails_with("should be a number", "add.s32 %r1, %r2;"));
  CHECK(fails_with("more operands", "add.s32 %r1, %r2, %r3, %r4;"));
  CHECK(fails_with("should be a number", "add.s32 %r1, %r2, !%r3;"));
  CHECK(fails_with("should be a register to write", "add.s32 5, %r2, %r3;"));
  CHECK(fails_with("should be an address", "ld.global.u32 %r1, %rd1;"));
  CHECK(fails_with("registers, as many as it names", "ld.global.v4.u32 {%r1, %r2}, [%rd1];"));
  CHECK(fails_with("a list of registers, as long as its matrix",
                   "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f1, %f2, %f3, %f4}, "
                   "{%r1, %r2}, {%r1, %r2}, {%f1, %f2, %f3, %f4};"));
  CHECK(fails_with("'%clock' is unknown", "mov.u32 %r1, %clock;"));
  CHECK(fails_with("'elsewhere' is declared nowhere", "ld.global.u32 %r1, [elsewhere];"));
  CHECK(fails_with("label 'nowhere' is not there", "bra nowhere;"));
  CHECK(fails_with("'.local' is unknown in a kernel", ".local .align 4 .b8 depot[16];"));
  CHECK(fails_with("only barrier 0 is known", "bar.sync 1;"));
  CHECK(fails_with("is no number", "add.s32 %r1, %r2, 12x;"));
  CHECK(fails_with("guard '%q' is no register", "@%q ret;"));
  CHECK(fails_with("registers of type '.b128'", ".reg .b128 %q<2>;"));
  CHECK(complaint_of("", 1, ".texture .b8 x;\n").find("'.texture' is unknown in a module") !=
        std::string::npos);
  CHECK(complaint_of("", 1, ".func (.param .b32 x) f(.param .b32 y) { ret; }\n").empty());
}

}  // namespace minicpm::test
