// The checker against kernels with one mistake each, and against kernels without.
#include <algorithm>

#include "test/kernels/test.h"
#include "test/simt/kernels.h"
#include "test/simt/schedules.h"

namespace minicpm::test {

namespace {

using simt::Fault;

const simt::Finding* finding_of(const std::vector<Fault>& faults) {
  const auto found = std::ranges::find_if(simt::findings, [&](const simt::Finding& finding) {
    return std::ranges::find(faults, finding.fault) != faults.end();
  });
  return found == simt::findings.end() ? nullptr : &*found;
}

/// Runs a faulty kernel under every schedule. One of `faults` has to be found each time, as such:
/// which one may depend on who comes first.
template <typename... Parameters, typename... Arguments>
void expect_fault(int line, const std::vector<Fault>& faults, unsigned blocks,
                  void (*kernel)(float*, Parameters...), Arguments... arguments) {
  under_schedules([&](const char* schedule) {
    const OnDevice<float> out(std::vector<float>(64));
    simt::launch({blocks}, {64}, 256, kernel, out.data(), arguments...);
    if (finding_of(faults) == nullptr) {
      fail(__FILE__, line, std::string("not found, ") + schedule + "; but:" + take_findings());
    }
    simt::findings.clear();
  });
}

#define EXPECT_FAULT(...) expect_fault(__LINE__, __VA_ARGS__)

template <typename... Arguments>
void expect_silence(int line, unsigned blocks, unsigned threads,
                    void (*kernel)(float*, Arguments...), Arguments... arguments) {
  under_schedules([&](const char* schedule) {
    const OnDevice<float> out(std::vector<float>(64));
    simt::launch({blocks}, {threads}, 256, kernel, out.data(), arguments...);
    const std::string found = take_findings();
    if (!found.empty()) fail(__FILE__, line, std::string(schedule) + ":" + found);
  });
}

#define EXPECT_SILENCE(...) expect_silence(__LINE__, __VA_ARGS__)

}  // namespace

TEST("the checker finds races within a block and between blocks") {
  const std::vector<Fault> in_tile{Fault::read_after_write, Fault::write_after_read};
  EXPECT_FAULT({Fault::read_after_write, Fault::uninitialised_read}, 1, faulty::missing_barrier);
  EXPECT_FAULT(in_tile, 1, faulty::missing_second_barrier,
               OnDevice<float>(std::vector<float>(256)).data());
  EXPECT_FAULT(in_tile, 1, faulty::missing_barrier_in_third_step);
  EXPECT_FAULT({Fault::read_after_write}, 1, faulty::missing_syncwarp);
  EXPECT_FAULT({Fault::read_after_write}, 1, faulty::syncwarp_between_warps);
  EXPECT_FAULT({Fault::read_after_write}, 1, faulty::shuffle_taken_for_a_barrier);
  EXPECT_FAULT(in_tile, 1, faulty::counter_read_without_barrier);
  EXPECT_FAULT({Fault::read_after_write, Fault::write_after_write}, 1,
               faulty::plain_increment_beside_atomics);
  EXPECT_FAULT({Fault::write_after_write}, 2, faulty::blocks_write_the_same);
  EXPECT_FAULT(in_tile, 2, faulty::block_reads_what_another_writes);
}

TEST("the checker finds accesses outside what is allocated and what is the thread's") {
  // Of a size that no later allocation gets again.
  const float* const freed = [] { return OnDevice<float>(std::vector<float>(999)).data(); }();
  const std::vector<float> host(64);
  EXPECT_FAULT({Fault::out_of_bounds_write}, 1, faulty::shared_overrun);
  EXPECT_FAULT({Fault::out_of_bounds_write}, 1, faulty::dynamic_shared_overrun);
  EXPECT_FAULT({Fault::out_of_bounds_write}, 1, faulty::global_write_overrun);
  EXPECT_FAULT({Fault::out_of_bounds_read}, 1, faulty::global_read_overrun);
  EXPECT_FAULT({Fault::out_of_bounds_read}, 1, faulty::freed_memory, freed);
  EXPECT_FAULT({Fault::outside_device_memory}, 1, faulty::host_memory, host.data());
  EXPECT_FAULT({Fault::outside_device_memory}, 1, faulty::other_threads_variable);
  EXPECT_FAULT({Fault::stack_overflow}, 1, faulty::end_of_stack);
  faulty::read_from_host(OnDevice<float>(std::vector<float>(1)).data());
  CHECK(finding_of({Fault::device_memory_from_host}) != nullptr);
  simt::findings.clear();
}

TEST("the checker finds reads of what nobody wrote, and misaligned accesses") {
  under_schedules([&](const char*) {
    simt::launch({1}, {64}, 0, faulty::uninitialised_global, OnDevice<float>(64).data(),
                 OnDevice<float>(64).data());
    CHECK(finding_of({Fault::uninitialised_read}) != nullptr);
    simt::findings.clear();
  });
  EXPECT_FAULT({Fault::uninitialised_read}, 1, faulty::uninitialised_shared);
  EXPECT_FAULT({Fault::uninitialised_read}, 2, faulty::shared_of_the_block_before);
  EXPECT_FAULT({Fault::misaligned}, 1, faulty::misaligned_double);
  EXPECT_FAULT({Fault::misaligned}, 1, faulty::misaligned_vector);
}

TEST("the checker finds cp.async that is not waited for, or meets other accesses") {
  const OnDevice<float> numbers(std::vector<float>(256));
  const float* in = numbers.data();
  EXPECT_FAULT({Fault::uninitialised_read}, 1, faulty::copy_without_wait, in);
  EXPECT_FAULT({Fault::read_after_write, Fault::uninitialised_read}, 1,
               faulty::copy_without_barrier, in);
  EXPECT_FAULT({Fault::read_after_write, Fault::write_after_read, Fault::uninitialised_read}, 1,
               faulty::copy_over_what_is_read, in);
  EXPECT_FAULT({Fault::copies_in_flight}, 1, faulty::copy_never_waited_for, in);
  EXPECT_FAULT({Fault::not_shared_memory}, 1, faulty::copy_to_global, in);
  EXPECT_FAULT({Fault::misaligned}, 1, faulty::copy_misaligned, in);
}

TEST("the checker finds barriers and warp operations that not all reach") {
  const OnDevice<float> numbers(std::vector<float>(256));
  EXPECT_FAULT({Fault::deadlock}, 1, faulty::divergent_barrier);
  EXPECT_FAULT({Fault::barrier_after_exit}, 1, faulty::barrier_after_exit);
  EXPECT_FAULT({Fault::different_operations}, 1, faulty::shuffle_beside_vote);
  EXPECT_FAULT({Fault::not_in_mask}, 1, faulty::lane_not_in_mask);
  EXPECT_FAULT({Fault::mask_names_exited, Fault::deadlock}, 1, faulty::mask_names_exited);
  EXPECT_FAULT({Fault::mask_names_exited, Fault::deadlock}, 1, faulty::different_masks);
  EXPECT_FAULT({Fault::deadlock}, 1, faulty::endless_sleep);
  EXPECT_FAULT({Fault::not_shared_memory}, 1, faulty::matrix_rows_in_global,
               static_cast<const float*>(numbers.data()));
  EXPECT_FAULT({Fault::mask_names_exited, Fault::deadlock}, 1, faulty::product_after_exit);
}

TEST("the checker is silent about kernels without mistakes") {
  const OnDevice<float> numbers(std::vector<float>(256));
  const float* in = numbers.data();
  EXPECT_SILENCE(1, 64, correct::exchange_in_warp);
  EXPECT_SILENCE(1, 64, correct::block_sum, in);
  EXPECT_SILENCE(1, 64, correct::double_buffer, in);
  EXPECT_SILENCE(1, 64, correct::copies_in_stages, in);
  EXPECT_SILENCE(1, 64, correct::copy_with_zeros, in);
  EXPECT_SILENCE(4, 64, correct::atomic_counters);
  EXPECT_SILENCE(1, 64, correct::other_atomics);
  EXPECT_SILENCE(1, 64, correct::votes);
  EXPECT_SILENCE(1, 64, correct::shuffles);
  EXPECT_SILENCE(1, 48, correct::halves_of_warps);
  EXPECT_SILENCE(1, 64, correct::dynamic_shared);
}

TEST("a finding names the place in the source, the other side's, block and thread") {
  const OnDevice<float> out(std::vector<float>(64));
  simt::launch({1}, {64}, 0, faulty::missing_syncwarp, out.data());
  const simt::Finding* finding = finding_of({Fault::read_after_write});
  CHECK(finding && finding->bytes == 4 && finding->count == 32);
  CHECK(finding && finding->place != 0 && finding->other_place != 0);
  const std::string text = take_findings();
  CHECK(text.find("race: read of what another thread wrote") != std::string::npos);
  CHECK(text.find("(block 0 0 0, thread 1 0 0, 4 bytes") != std::string::npos);
  // Where addr2line is missing, or finds no lines, the places are left out.
  CHECK(text.find("faulty_kernels.cpp:") != std::string::npos ||
        text.find("at ,") != std::string::npos);
}

}  // namespace minicpm::test
