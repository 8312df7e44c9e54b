// What takes libcudart's place where there is no GPU: objects that nvcc compiled (with
// -no-compress) are linked with it, and their kernels run in the interpreter. This is how tests set
// it up and ask it; programs that are only linked with it set it up through the environment:
//
//   PTX_DEVICE=none|old-driver   no GPU there, or a driver too old for the runtime
//   PTX_VRAM=BYTES               memory of the device; default 8 GiB
//   PTX_FAIL_CALL=N              the N-th call that can fail does, once
//   PTX_FAIL_ALLOCATION=N        the N-th allocation (device or page-locked) does, once
//   PTX_DELAY=1                  kernels and asynchronous copies wait until someone synchronizes
//   PTX_ORDER=ascending|descending   which block and warp goes first; default ascending
//   PTX_RESIDENT=N               blocks in flight together; locks between blocks need several
//   PTX_COUNTERS=1               counts, and prints what was counted at the end
//   PTX_LEAKS=1                  prints at the end what was never freed
//   PTX_LINES=FILE               writes at the end which lines of the PTX ran: kernel, tab, number
//   PTX_EDIT=FILE                a mistake to try: a kernel's name, the number of a line in the PTX
//                                that it is in, and what stands there instead, each on a line
//
// A kernel's fault is printed with its PTX line, and is the runtime's error from then on, as on a
// GPU, until cudaDeviceReset.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "test/ptx/block.h"
#include "test/ptx/counters.h"

namespace minicpm::ptx {

enum class Device { present, none, old_driver };

struct Settings {
  Device device = Device::present;
  size_t vram = size_t{8} << 30;
  int fail_call = 0, fail_allocation = 0;  // counted from the setting on
  bool delay = false;
  Schedule schedule;
  bool print = true;  // faults, to stderr
};

/// As the environment has it, before the first call.
Settings settings();
void set(const Settings& settings);

/// Calls that can fail since the settings were set, and allocations among them.
int calls_made();
int allocations_made();

/// What kernels and calls did that they must not, since the last call.
std::vector<std::string> take_faults();

/// What is allocated or made and not freed, in words; empty where all is.
std::string leaks();

}  // namespace minicpm::ptx
