// What kernels did, counted: the same on every machine, so tests can set limits.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace minicpm::ptx {

class Warp;
struct Instruction;
struct Operand;
enum class Space : uint8_t;

/// Counts up while `counting`; instructions are counted always.
struct Counters {
  std::map<std::string, uint64_t> by_opcode;  // warp instructions
  uint64_t instructions = 0, lane_instructions = 0, divergent_branches = 0;

  // An instruction's sectors are the different groups of 32 bytes that its lanes touch; ideal is
  // the bytes that they ask for, each counted once, / 32.
  uint64_t global_accesses = 0, global_sectors = 0, global_ideal = 0;
  uint64_t loaded_bytes = 0, loaded_vector_bytes = 0;  // from device memory; by 16 bytes a lane
  // Wavefronts are the turns that 32 banks of 4 bytes need; ideal is without conflicts.
  uint64_t shared_accesses = 0, shared_wavefronts = 0, shared_ideal = 0;

  std::string report() const;
};

extern Counters counters;
extern bool counting;

/// Counts an access of `bytes` a lane at `addresses` (of the lanes of `active`). `loads` says
/// whether it is a read.
void count_global(const uint64_t* addresses, uint32_t active, unsigned bytes, bool loads);
void count_shared(const uint64_t* addresses, uint32_t active, unsigned bytes);

}  // namespace minicpm::ptx
