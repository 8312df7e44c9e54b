// Kernels written by hand for the interpreter's tests.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "test/ptx/block.h"

namespace minicpm::test {

/// A kernel with registers %p0, %rs0, %r0, %rd0, %f0, %fd0 to 15 each. Its parameters are `out`,
/// which is in %rd15, and 32 bytes `given`. `declarations` stand before it.
std::string kernel_text(const std::string& body, const std::string& declarations = "");

/// Byte `index` of `given`; they differ, in their signs too.
uint8_t given_byte(unsigned index);

/// What `threads` threads of such a kernel leave in `out`, 64 bits each (0 where they wrote
/// nothing). Forms that the kernel has are noted as run.
std::vector<uint64_t> run_text(const std::string& body, unsigned threads = 32,
                               const std::string& declarations = "", unsigned dynamic_shared = 0);

/// Stores a register of 64 bits in the thread's place of `out`.
std::string keep(const std::string& register_64);

/// Why the kernel is refused or faults; empty where it runs.
std::string complaint_of(const std::string& body, unsigned threads = 32,
                         const std::string& declarations = "");

/// The result of one instruction: "add.s32 %r0, %r1, %r2" with what stands in %r1 and %r2.
uint64_t result_of(const std::string& instruction, const std::vector<uint64_t>& inputs);

/// Names of the forms that kernels of this program had.
const std::set<std::string>& forms_run();

}  // namespace minicpm::test
