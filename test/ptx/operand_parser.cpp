// Operands of an instruction: KernelParser's other half.
#include <cctype>
#include <stdexcept>
#include <tuple>

#include "test/ptx/kernel_parser.h"

namespace minicpm::ptx {

namespace {

const std::map<std::string, Special> kSpecials = {
    {"%tid.x", Special::tid_x},       {"%tid.y", Special::tid_y},
    {"%tid.z", Special::tid_z},       {"%ntid.x", Special::ntid_x},
    {"%ntid.y", Special::ntid_y},     {"%ntid.z", Special::ntid_z},
    {"%ctaid.x", Special::ctaid_x},   {"%ctaid.y", Special::ctaid_y},
    {"%ctaid.z", Special::ctaid_z},   {"%nctaid.x", Special::nctaid_x},
    {"%nctaid.y", Special::nctaid_y}, {"%nctaid.z", Special::nctaid_z},
    {"%laneid", Special::laneid}};

const char* meaning_of(char letter) {
  switch (letter) {
    case 'd':
      return "a register to write";
    case 'e':
      return "a register to write, d|p or _";
    case 's':
      return "a number";
    case 'b':
      return "a predicate";
    case 'v':
      return "registers, as many as it names";
    case 'm':
      return "an address in [ ]";
    case 'n':
      return "a literal number";
    case 't':
      return "a label";
    default:
      return "a list of registers, as long as its matrix";
  }
}

bool all_registers(const std::vector<Operand>& list, bool or_nothing) {
  for (const Operand& piece : list) {
    const bool nothing = or_nothing && piece.kind == Operand::Kind::nothing;
    if (piece.kind != Operand::Kind::row && !nothing) return false;
  }
  return true;
}

}  // namespace

void KernelParser::read_operands(Instruction& instruction) {
  const Form& form = *instruction.form;
  const auto refuse = [&](char letter) {
    scanner_.refuse(form.name + ": operand " + std::to_string(instruction.operands.size() + 1) +
                    " should be " + meaning_of(letter));
  };
  bool more = scanner_.peek() != ';';
  for (size_t i = 0; i < form.operands.size(); i++) {
    const char letter = form.operands[i];
    const bool optional = i + 1 < form.operands.size() && form.operands[i + 1] == '?';
    if (!more && optional) break;
    if (!more) refuse(letter);
    if (letter == 't') {
      jumps_.emplace_back(kernel_.code.size(), scanner_.word());
      instruction.operands.push_back({Operand::Kind::label});
    } else {
      Operand operand = read_operand();
      check_operand(instruction, letter, operand);
      instruction.operands.push_back(std::move(operand));
    }
    more = scanner_.take(',');
    if (optional) break;
  }
  if (more) scanner_.refuse(form.name + " has more operands than the interpreter knows");
  if (form.kind == Form::Kind::barrier && instruction.operands[form.combine ? 1 : 0].offset != 0) {
    scanner_.refuse("only barrier 0 is known");
  }
}

/// What the letter means is said in Form.
void KernelParser::check_operand(const Instruction& instruction, char letter,
                                 const Operand& operand) {
  using Kind = Operand::Kind;
  const Form& form = *instruction.form;
  const bool is_row = operand.kind == Kind::row;
  const bool is_list = operand.kind == Kind::list;
  const bool writes = letter == 'v' && instruction.operands.empty();
  bool right = false;
  switch (letter) {
    case 'd':
      right = operand.is_register && operand.second < 0 && !operand.negated;
      break;
    case 'e':
      right = operand.is_register || operand.kind == Kind::nothing;
      break;
    case 's':
      right = is_row && !operand.negated;
      break;
    case 'b':
      right = is_row;
      break;
    case 'v':
      // A mov splits or joins a list of any length; memory is as wide as the form says.
      right = is_list ? all_registers(operand.list, writes) : is_row;
      if (is_row && writes) right &= operand.is_register;
      if (form.bytes || form.count > 1) {
        right &= is_list ? operand.list.size() == form.count : form.count == 1;
      } else if (is_list) {
        right &= operand.list.size() == 2 || operand.list.size() == 4;
      }
      break;
    case 'm':
      right = operand.kind == Kind::address;
      break;
    case 'n':
      right = is_row && !operand.is_register;
      break;
    default:
      right = is_list && operand.list.size() == static_cast<size_t>(letter - '0') &&
              all_registers(operand.list, false);
  }
  if (!right) {
    scanner_.refuse(form.name + ": operand " + std::to_string(instruction.operands.size() + 1) +
                    " should be " + meaning_of(letter));
  }
}

Operand KernelParser::read_operand() {
  if (scanner_.take('{')) return read_list();
  if (scanner_.take('[')) return read_address();
  const bool negated = scanner_.take('!');
  const bool minus = scanner_.take('-');
  Operand operand = read_value(scanner_.word(), minus);
  operand.negated = negated;
  if (scanner_.take('|')) {
    const std::string name = scanner_.word();
    const Register* second = find_register(name);
    if (!second && name != "_") scanner_.refuse("'" + name + "' is no predicate");
    if (second) operand.second = second->row;
  }
  return operand;
}

Operand KernelParser::read_list() {
  Operand list{Operand::Kind::list};
  do {
    const bool minus = scanner_.take('-');
    list.list.push_back(read_value(scanner_.word(), minus));
  } while (scanner_.take(','));
  scanner_.expect('}');
  return list;
}

Operand KernelParser::read_address() {
  Operand address{Operand::Kind::address};
  const std::string base = scanner_.word();
  if (const Register* found = find_register(base)) {
    address.row = found->row;
  } else {
    std::tie(address.row, address.offset) = place_of(base);
  }
  if (scanner_.take('+')) {
    const bool minus = scanner_.take('-');
    const auto more = static_cast<int64_t>(number(scanner_.word()));
    address.offset += minus ? -more : more;
  }
  scanner_.expect(']');
  return address;
}

Operand KernelParser::read_value(const std::string& word, bool minus) {
  Operand operand{Operand::Kind::row};
  if (word == "_") return {Operand::Kind::nothing};
  if (word.empty()) scanner_.refuse("an operand is missing");
  if (const Register* found = find_register(word)) {
    operand.row = found->row;
    operand.mask = found->mask;
    operand.is_register = true;
  } else if (word[0] == '%') {
    operand.row = special_row(word);
  } else if (std::isdigit(static_cast<unsigned char>(word[0]))) {
    const uint64_t value = number(word);
    operand.offset = static_cast<int64_t>(minus ? 0 - value : value);
    operand.row = constant_row(static_cast<uint64_t>(operand.offset));
  } else {
    const auto [row, offset] = place_of(word);
    operand.row = row >= 0 ? row : constant_row(static_cast<uint64_t>(offset));
  }
  if (minus && !std::isdigit(static_cast<unsigned char>(word[0]))) {
    scanner_.refuse("'-' before '" + word + "'");
  }
  return operand;
}

const KernelParser::Register* KernelParser::find_register(const std::string& name) const {
  for (size_t i = scopes_.size(); i-- > 0;) {
    const auto found = scopes_[i].find(name);
    if (found != scopes_[i].end()) return &found->second;
  }
  return nullptr;
}

int KernelParser::constant_row(uint64_t value) {
  const auto [found, fresh] = constants_.emplace(value, kernel_.rows);
  if (fresh) kernel_.constants.emplace_back(kernel_.rows++, value);
  return found->second;
}

int KernelParser::special_row(const std::string& name) {
  const auto special = kSpecials.find(name);
  if (special == kSpecials.end()) scanner_.refuse("the register '" + name + "' is unknown");
  const auto [found, fresh] = specials_.emplace(special->second, kernel_.rows);
  if (fresh) kernel_.specials.emplace_back(kernel_.rows++, special->second);
  return found->second;
}

std::pair<int, int64_t> KernelParser::place_of(const std::string& name) {
  if (const auto found = parameters_.find(name); found != parameters_.end()) {
    return {-1, found->second};
  }
  const Symbols& where = own_.count(name) ? own_ : of_module_;
  const auto found = where.find(name);
  if (found == where.end()) scanner_.refuse("'" + name + "' is declared nowhere");
  const Symbol& symbol = found->second;
  if (!symbol.shared) return {-1, static_cast<int64_t>(symbol.address)};
  if (symbol.dynamic) {
    if (dynamic_row_ < 0) dynamic_row_ = kernel_.rows++;
    return {dynamic_row_, 0};
  }
  const auto [placed, fresh] = placed_.emplace(name, 0);
  if (fresh) {
    unsigned& end = kernel_.shared_bytes;
    placed->second = (end + symbol.alignment - 1) / symbol.alignment * symbol.alignment;
    end = placed->second + symbol.size;
  }
  return {-1, placed->second};
}

/// 12, 0x1f, and floats by their bits: 0f3F800000, 0d3FF0000000000000.
uint64_t KernelParser::number(const std::string& word) {
  try {
    size_t read = 0;
    const bool is_float = word.size() > 2 && word[0] == '0' && (word[1] == 'f' || word[1] == 'd');
    const std::string digits = is_float ? word.substr(2) : word;
    const uint64_t value = std::stoull(digits, &read, is_float ? 16 : 0);
    const bool suffix = read + 1 == digits.size() && digits[read] == 'U';
    if (read == digits.size() || suffix) return value;
  } catch (const std::exception&) {
  }
  scanner_.refuse("'" + word + "' is no number");
}

}  // namespace minicpm::ptx
