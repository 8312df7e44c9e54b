#include "test/ptx/scanner.h"

#include <algorithm>
#include <cctype>

namespace minicpm::ptx {

namespace {

bool is_word(char sign) {
  return std::isalnum(static_cast<unsigned char>(sign)) || sign == '_' || sign == '$' ||
         sign == '%' || sign == '.';
}

/// Blanks everything from each `start` up to the `end` after it.
void blank(std::string& text, const char* start, const char* end) {
  for (size_t from = 0; (from = text.find(start, from)) != std::string::npos;) {
    const size_t to = std::min(text.find(end, from + 2), text.size());
    for (; from < to; from++) {
      if (text[from] != '\n') text[from] = ' ';
    }
    for (size_t i = to; i < text.size() && i < to + 2 && *end == '*'; i++) text[i] = ' ';
  }
}

}  // namespace

Scanner::Scanner(std::string text) : text_(std::move(text)) {
  blank(text_, "/*", "*/");
  blank(text_, "//", "\n");
}

char Scanner::peek() {
  while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) step();
  return at_ < text_.size() ? text_[at_] : '\0';
}

bool Scanner::at_end() {
  return peek() == '\0' && at_ >= text_.size();
}

bool Scanner::take(char sign) {
  if (peek() != sign || at_ >= text_.size()) return false;
  step();
  return true;
}

void Scanner::expect(char sign) {
  if (!take(sign)) {
    refuse(std::string("'") + sign + "' is missing before '" + text_.substr(at_, 20) + "'");
  }
}

std::string Scanner::word() {
  peek();
  const size_t start = at_;
  while (at_ < text_.size() && is_word(text_[at_])) at_++;
  return text_.substr(start, at_ - start);
}

unsigned Scanner::count() {
  const std::string digits = word();
  const bool decimal = digits.find_first_not_of("0123456789") == std::string::npos;
  if (digits.empty() || digits.size() > 9 || !decimal) refuse("'" + digits + "' is no count");
  return static_cast<unsigned>(std::stoul(digits));
}

void Scanner::skip_line() {
  while (at_ < text_.size() && text_[at_] != '\n') at_++;
}

void Scanner::skip_past(char sign) {
  while (at_ < text_.size() && text_[at_] != sign) step();
  if (at_ < text_.size()) step();
}

void Scanner::skip_braces() {
  for (int depth = 1; depth > 0 && at_ < text_.size(); step()) {
    depth += text_[at_] == '{' ? 1 : text_[at_] == '}' ? -1 : 0;
  }
}

void Scanner::refuse(const std::string& why) const {
  throw std::runtime_error("PTX line " + std::to_string(line_) + ": " + why);
}

}  // namespace minicpm::ptx
