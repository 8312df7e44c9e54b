#include "test/ptx/kernel_parser.h"

#include <algorithm>
#include <cctype>

namespace minicpm::ptx {

namespace {

const std::map<std::string, unsigned> kTypes = {{".b8", 1},  {".u8", 1},  {".s8", 1},  {".pred", 1},
                                                {".b16", 2}, {".u16", 2}, {".s16", 2}, {".f16", 2},
                                                {".b32", 4}, {".u32", 4}, {".s32", 4}, {".f32", 4},
                                                {".b64", 8}, {".u64", 8}, {".s64", 8}, {".f64", 8}};

unsigned round_up(unsigned value, unsigned multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

}  // namespace

unsigned type_bytes(const std::string& word) {
  const auto found = kTypes.find(word);
  return found == kTypes.end() ? 0 : found->second;
}

std::pair<std::string, Symbol> read_shared(Scanner& scanner) {
  Symbol symbol;
  unsigned element = 0;
  std::string word = scanner.word();
  for (; !word.empty() && word[0] == '.'; word = scanner.word()) {
    if (word == ".align") {
      symbol.alignment = scanner.count();
    } else if (const unsigned bytes = type_bytes(word)) {
      element = bytes;
    } else {
      scanner.refuse("'" + word + "' is unknown in a declaration of shared memory");
    }
  }
  if (element == 0) scanner.refuse("an array without a type");
  symbol.alignment = std::max(symbol.alignment, element);
  symbol.size = element;
  if (scanner.take('[')) {
    symbol.dynamic = scanner.take(']');
    symbol.size = symbol.dynamic ? 0 : element * scanner.count();
    if (!symbol.dynamic) scanner.expect(']');
  }
  scanner.expect(';');
  return {word, symbol};
}

void KernelParser::read() {
  if (scanner_.take('(')) read_parameters();
  while (!scanner_.take('{')) {  // .maxntid and other directives, which ask for nothing here
    if (scanner_.at_end()) scanner_.refuse("a kernel without a body");
    if (scanner_.word().empty()) scanner_.take(scanner_.peek());
  }
  scopes_.assign(1, {});
  while (!scopes_.empty()) {
    if (scanner_.at_end()) scanner_.refuse("the kernel's braces are not closed");
    if (scanner_.take('{')) {
      scopes_.emplace_back();
    } else if (scanner_.take('}')) {
      scopes_.pop_back();
    } else if (scanner_.take(';')) {
    } else if (scanner_.peek() == '@') {
      read_instruction("");
    } else {
      const std::string word = scanner_.word();
      if (word == ".reg") {
        read_registers();
      } else if (word == ".shared") {
        own_.insert(read_shared(scanner_));
      } else if (word == ".pragma") {
        scanner_.skip_past(';');
      } else if (word == ".loc") {
        scanner_.skip_line();
      } else if (word.empty() || word[0] == '.') {
        scanner_.refuse("'" + word + "' is unknown in a kernel");
      } else if (scanner_.take(':')) {
        labels_[word] = static_cast<int>(kernel_.code.size());
      } else {
        read_instruction(word);
      }
    }
  }
  resolve();
}

void KernelParser::read_parameters() {
  while (!scanner_.take(')')) {
    unsigned alignment = 1, element = 1, count = 1;
    std::string word = scanner_.word();
    for (; !word.empty() && word[0] == '.'; word = scanner_.word()) {
      if (word == ".align") alignment = scanner_.count();
      if (const unsigned bytes = type_bytes(word)) element = bytes;
    }
    if (word.empty()) scanner_.refuse("a parameter without a name");
    if (scanner_.take('[')) {
      count = scanner_.count();
      scanner_.expect(']');
    }
    const unsigned offset = round_up(kernel_.parameter_bytes, std::max(alignment, element));
    parameters_[word] = offset;
    kernel_.parameters.push_back({offset, element * count});
    kernel_.parameter_bytes = offset + element * count;
    scanner_.take(',');
  }
}

void KernelParser::read_registers() {
  const std::string type = scanner_.word();
  const unsigned bytes = type_bytes(type);
  if (bytes == 0) scanner_.refuse("registers of type '" + type + "'");
  const uint64_t mask = type == ".pred" ? 1 : bytes == 8 ? ~0ull : (uint64_t{1} << bytes * 8) - 1;
  do {
    const std::string name = scanner_.word();
    if (scanner_.take('<')) {
      const unsigned count = scanner_.count();
      for (unsigned i = 0; i < count; i++) {
        scopes_.back()[name + std::to_string(i)] = {kernel_.rows++, mask};
      }
      scanner_.expect('>');
    } else {
      scopes_.back()[name] = {kernel_.rows++, mask};
    }
  } while (scanner_.take(','));
  scanner_.expect(';');
}

void KernelParser::read_instruction(std::string opcode) {
  Instruction instruction;
  if (opcode.empty()) {
    scanner_.expect('@');
    instruction.guard_negated = scanner_.take('!');
    const std::string name = scanner_.word();
    const Register* guard = find_register(name);
    if (!guard) scanner_.refuse("the guard '" + name + "' is no register");
    instruction.guard = guard->row;
    opcode = scanner_.word();
  }
  instruction.line = scanner_.line();
  instruction.form = Forms::known().find(opcode);
  if (!instruction.form) {
    scanner_.refuse("the interpreter does not know '" + opcode +
                    "'; add it to the forms of test/ptx");
  }
  read_operands(instruction);
  scanner_.expect(';');
  kernel_.code.push_back(std::move(instruction));
}

void KernelParser::resolve() {
  for (const auto& [at, label] : jumps_) {
    const auto found = labels_.find(label);
    if (found == labels_.end()) scanner_.refuse("the label '" + label + "' is not there");
    kernel_.code[at].target = found->second;
  }
  if (dynamic_row_ >= 0) kernel_.constants.emplace_back(dynamic_row_, kernel_.dynamic_offset());
}

}  // namespace minicpm::ptx
