// A tiny test framework: a test is a true sentence. `native_test [part of a sentence or path]...`
// runs those that match.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "kernels/error.h"

namespace minicpm::test {

struct Registration {
  Registration(const char* sentence, const char* file, void (*body)());
};

/// Counts a failure of the running test, with its place.
void fail(const char* file, int line, const std::string& what);

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

/// `all`; under sanitizers, which look at the code and not at the numbers, only the last.
inline std::vector<int> thorough(std::initializer_list<int> all) {
  return {kSanitized ? all.end() - 1 : all.begin(), all.end()};
}

}  // namespace minicpm::test

#define MINICPM_JOIN_(a, b) a##b
#define MINICPM_JOIN(a, b) MINICPM_JOIN_(a, b)

#define TEST(sentence)                                                              \
  static void MINICPM_JOIN(test_, __LINE__)();                                      \
  static const ::minicpm::test::Registration MINICPM_JOIN(registration_, __LINE__)( \
      sentence, __FILE__, MINICPM_JOIN(test_, __LINE__));                           \
  static void MINICPM_JOIN(test_, __LINE__)()

/// Goes on after a failure.
#define CHECK(condition)                                                     \
  do {                                                                       \
    if (!(condition)) ::minicpm::test::fail(__FILE__, __LINE__, #condition); \
  } while (false)

/// The expression throws minicpm::Error of that code.
#define CHECK_THROWS(error_code, ...)                                                          \
  do {                                                                                         \
    try {                                                                                      \
      (void)(__VA_ARGS__);                                                                     \
      ::minicpm::test::fail(__FILE__, __LINE__, #__VA_ARGS__ " threw nothing");                \
    } catch (const ::minicpm::Error& error) {                                                  \
      if (error.code != (error_code)) ::minicpm::test::fail(__FILE__, __LINE__, error.what()); \
    }                                                                                          \
  } while (false)
