// The instructions that the interpreter knows: one form for each spelling, such as `fma.rn.f32`.
// What has no form here is refused when the kernel is read.
#pragma once

#include <deque>
#include <string>
#include <unordered_map>

#include "test/ptx/program.h"

namespace minicpm::ptx {

class Warp;

enum class Outcome : uint8_t {
  done,
  waits,  // for other lanes; nothing has happened
};

/// Does the instruction for the lanes of `active`, which stand at it together.
using Run = Outcome (*)(Warp&, const Instruction&, uint32_t active);

struct Form {
  enum class Kind : uint8_t { plain, branch, exit, barrier };

  std::string name;
  /// A letter for each operand: d register that is written, e the same or d|p or _, s number, b
  /// predicate that may be negated, v register or list of them, m address, n literal, t label; a
  /// digit: a list of as many registers. What stands before a ? may be left out.
  std::string operands;
  Run run = nullptr;  // of plain ones
  Kind kind = Kind::plain;
  /// Of a barrier with a predicate: its result, where it is true for `yes` of `all` threads.
  uint32_t (*combine)(uint32_t yes, uint32_t all) = nullptr;

  // Of instructions that touch memory:
  Space space = Space::generic;
  unsigned bytes = 0;      // of a number
  unsigned count = 1;      // numbers at once
  bool is_signed = false;  // loads fill the register with the sign
  size_t index = 0;        // in the table
};

class Forms {
 public:
  /// All there are.
  static const Forms& known();

  const Form* find(const std::string& name) const;
  const std::deque<Form>& all() const { return forms_; }

  void add(Form form);
  /// A form for each word of `types`, a list with spaces: `name` is followed by a dot and the type.
  /// `compute`, a lambda []<typename T>(...) -> ..., makes one lane's result from its numbers; its
  /// parameters say of which C++ types they are.
  template <typename Compute>
  void integers(const std::string& name, const std::string& types, Compute compute);
  template <typename Compute>
  void floats(const std::string& name, const std::string& types, Compute compute);
  /// A single form.
  template <typename Compute>
  void one(const std::string& name, Compute compute);

 private:
  Forms();

  std::deque<Form> forms_;
  std::unordered_map<std::string, const Form*> by_name_;
};

// Each adds the forms of its file.
void add_integer_forms(Forms& forms);
void add_float_forms(Forms& forms);
void add_conversion_forms(Forms& forms);
void add_memory_forms(Forms& forms);
void add_atomic_forms(Forms& forms);
void add_warp_forms(Forms& forms);
void add_matrix_forms(Forms& forms);
void add_control_forms(Forms& forms);

}  // namespace minicpm::ptx
