// PTX text as words and signs, with the line that each stands in.
#pragma once

#include <stdexcept>
#include <string>

namespace minicpm::ptx {

class Scanner {
 public:
  /// Comments become spaces.
  explicit Scanner(std::string text);

  bool at_end();
  int line() const { return line_; }
  /// The next sign that is no space; '\0' at the end.
  char peek();
  bool take(char sign);
  void expect(char sign);
  /// Letters, digits and _ $ % . in a row, which names, numbers, opcodes and directives are made
  /// of.
  std::string word();
  /// A decimal number below 2^31.
  unsigned count();
  void skip_line();
  void skip_past(char sign);
  /// To the end of what a { has opened.
  void skip_braces();

  [[noreturn]] void refuse(const std::string& why) const;

 private:
  std::string text_;
  size_t at_ = 0;
  int line_ = 1;

  void step() { line_ += text_[at_++] == '\n'; }
};

}  // namespace minicpm::ptx
