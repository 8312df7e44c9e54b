// PTX as the interpreter runs it: parsed text. Registers, immediates and special registers are all
// rows of a warp's register file, 32 numbers of 64 bits each, zero beyond their own width.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace minicpm::ptx {

struct Form;

/// What an instruction's dots name after the opcode, where it touches memory.
enum class Space : uint8_t { generic, global, shared, param };

struct Operand {
  enum class Kind : uint8_t { row, list, address, label, nothing };

  Kind kind = Kind::nothing;
  int row = -1;          // an address without one is `offset` alone
  int second = -1;       // the predicate of d|p
  bool negated = false;  // !p
  bool is_register = false;
  int64_t offset = 0;         // of an address; the number itself where the row is an immediate
  uint64_t mask = ~0ull;      // what the register holds
  std::vector<Operand> list;  // of {a, b}
};

struct Instruction {
  const Form* form = nullptr;
  int guard = -1;  // row of the predicate, or none
  bool guard_negated = false;
  std::vector<Operand> operands;
  int target = -1;  // of a branch: index into Kernel::code
  int line = 0;     // in the PTX
  mutable bool has_run = false;
};

/// %tid.x and its like.
enum class Special : uint8_t {
  tid_x,
  tid_y,
  tid_z,
  ntid_x,
  ntid_y,
  ntid_z,
  ctaid_x,
  ctaid_y,
  ctaid_z,
  nctaid_x,
  nctaid_y,
  nctaid_z,
  laneid,
};

struct Parameter {
  unsigned offset, size;
};

struct Kernel {
  std::string name;
  std::vector<Parameter> parameters;
  unsigned parameter_bytes = 0;
  unsigned shared_bytes = 0;  // static; the launch's dynamic bytes follow at dynamic_offset()
  std::vector<Instruction> code;
  int rows = 0;
  std::vector<std::pair<int, uint64_t>> constants;  // row, number
  std::vector<std::pair<int, Special>> specials;

  unsigned dynamic_offset() const { return (shared_bytes + 127) / 128 * 128; }
};

/// An array of the module's in device memory, with its bytes before the first launch.
struct Variable {
  std::vector<std::byte> bytes;
  uint64_t address = 0;
};

struct Program {
  std::map<std::string, std::unique_ptr<Kernel>> kernels;
  std::map<std::string, std::unique_ptr<Variable>> variables;
};

/// Reads the text that nvcc emits. Throws std::runtime_error with the line for what the interpreter
/// does not know. `place` puts a variable into device memory.
Program parse(const std::string& text, uint64_t (*place)(const std::vector<std::byte>&));

}  // namespace minicpm::ptx
