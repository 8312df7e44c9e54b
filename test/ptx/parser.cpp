// A module: kernels, and arrays in shared and device memory.
#include <cstring>

#include "test/ptx/kernel_parser.h"

namespace minicpm::ptx {

namespace {

class ModuleParser {
 public:
  ModuleParser(const std::string& text, uint64_t (*place)(const std::vector<std::byte>&))
      : scanner_(text), place_(place) {}

  Program read() {
    while (!scanner_.at_end()) {
      const std::string word = scanner_.word();
      if (word == ".version" || word == ".target" || word == ".address_size" || word == ".file") {
        scanner_.skip_line();
      } else if (word == ".visible" || word == ".weak" || word == ".extern") {
        continue;
      } else if (word == ".entry") {
        read_kernel();
      } else if (word == ".func") {
        skip_function();  // nobody can call it: there is no such form
      } else if (word == ".section") {
        scanner_.skip_past('{');
        scanner_.skip_braces();
      } else if (word == ".shared") {
        symbols_.insert(read_shared(scanner_));
      } else if (word == ".global" || word == ".const") {
        read_variable();
      } else {
        scanner_.refuse("'" + (word.empty() ? std::string(1, scanner_.peek()) : word) +
                        "' is unknown in a module");
      }
    }
    return std::move(program_);
  }

 private:
  void read_kernel() {
    auto kernel = std::make_unique<Kernel>();
    kernel->name = scanner_.word();
    KernelParser(scanner_, symbols_, *kernel).read();
    program_.kernels[kernel->name] = std::move(kernel);
  }

  void skip_function() {
    while (scanner_.peek() != '{' && scanner_.peek() != ';' && !scanner_.at_end()) {
      if (scanner_.word().empty()) scanner_.take(scanner_.peek());
    }
    if (scanner_.take('{')) scanner_.skip_braces();
  }

  /// .align 8 .b8 name[24] = {1, 2};  Numbers of bytes, integers and floats by their bits.
  void read_variable() {
    unsigned element = 0;
    std::string word = scanner_.word();
    for (; !word.empty() && word[0] == '.'; word = scanner_.word()) {
      if (word == ".align") scanner_.word();  // all start at a multiple of 256
      if (const unsigned bytes = type_bytes(word)) element = bytes;
    }
    if (element == 0 || word.empty()) scanner_.refuse("a variable without a type or a name");
    size_t count = 1;
    if (scanner_.take('[')) {
      count = scanner_.count();
      scanner_.expect(']');
    }
    std::vector<std::byte> bytes(count * element);
    if (scanner_.take('=')) read_values(bytes, element);
    scanner_.expect(';');
    Symbol symbol;
    symbol.shared = false;
    symbol.address = place_(bytes);
    symbols_.emplace(word, symbol);
    program_.variables[word] =
        std::make_unique<Variable>(Variable{std::move(bytes), symbol.address});
  }

  void read_values(std::vector<std::byte>& bytes, unsigned element) {
    const bool list = scanner_.take('{');
    size_t at = 0;
    do {
      const bool minus = scanner_.take('-');
      const std::string word = scanner_.word();
      uint64_t value = 0;
      try {
        const bool is_float = word.size() > 2 && (word[1] == 'f' || word[1] == 'd');
        value = std::stoull(is_float ? word.substr(2) : word, nullptr, is_float ? 16 : 0);
      } catch (const std::exception&) {
        scanner_.refuse("'" + word + "' is no number that a variable can start with");
      }
      if (minus) value = 0 - value;
      if (at + element > bytes.size()) scanner_.refuse("more numbers than the array holds");
      std::memcpy(bytes.data() + at, &value, element);
      at += element;
    } while (list && scanner_.take(','));
    if (list) scanner_.expect('}');
  }

  Scanner scanner_;
  uint64_t (*place_)(const std::vector<std::byte>&);
  Symbols symbols_;
  Program program_;
};

}  // namespace

Program parse(const std::string& text, uint64_t (*place)(const std::vector<std::byte>&)) {
  return ModuleParser(text, place).read();
}

}  // namespace minicpm::ptx
