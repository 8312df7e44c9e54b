// The body of a kernel: registers, shared arrays, labels and instructions.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "test/ptx/forms.h"
#include "test/ptx/program.h"
#include "test/ptx/scanner.h"

namespace minicpm::ptx {

/// An array in shared memory (of a module or a kernel), or one of the module's in device memory.
struct Symbol {
  bool shared = true;
  bool dynamic = false;  // extern .shared: behind the static ones
  unsigned size = 0, alignment = 1;
  uint64_t address = 0;  // of device memory
};

using Symbols = std::map<std::string, Symbol>;

/// Bytes of a type such as ".b32"; 0 where it is none.
unsigned type_bytes(const std::string& word);

/// `.align 4 .b8 name[32]` behind .shared.
std::pair<std::string, Symbol> read_shared(Scanner& scanner);

class KernelParser {
 public:
  KernelParser(Scanner& scanner, const Symbols& of_module, Kernel& kernel)
      : scanner_(scanner), of_module_(of_module), kernel_(kernel) {}

  /// (parameters) { body }
  void read();

 private:
  struct Register {
    int row;
    uint64_t mask;
  };

  void read_parameters();
  void read_registers();
  void read_instruction(std::string opcode);
  void read_operands(Instruction& instruction);
  Operand read_operand();
  Operand read_list();
  Operand read_address();
  Operand read_value(const std::string& word, bool minus);
  void check_operand(const Instruction& instruction, char letter, const Operand& operand);
  void resolve();

  const Register* find_register(const std::string& name) const;
  int constant_row(uint64_t number);
  int special_row(const std::string& name);
  /// Where a symbol stands: an offset, and the row that it is added to (dynamic shared memory) or
  /// -1.
  std::pair<int, int64_t> place_of(const std::string& name);
  uint64_t number(const std::string& word);

  Scanner& scanner_;
  const Symbols& of_module_;
  Kernel& kernel_;
  std::vector<std::map<std::string, Register>> scopes_;  // of braces, the innermost last
  Symbols own_;
  std::map<std::string, unsigned> parameters_, placed_;
  std::map<std::string, int> labels_;
  std::vector<std::pair<size_t, std::string>> jumps_;  // instructions and the labels they go to
  std::map<uint64_t, int> constants_;
  std::map<Special, int> specials_;
  int dynamic_row_ = -1;
};

}  // namespace minicpm::ptx
