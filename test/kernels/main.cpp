// The native test program: one line a test with its seconds, then "N passed, N failed".
#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <vector>

#include "test/kernels/test.h"

namespace minicpm::test {
namespace {

struct Case {
  const char* sentence;
  const char* file;
  void (*body)();
};

std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

int failures = 0;  // of the running test

}  // namespace

Registration::Registration(const char* sentence, const char* file, void (*body)()) {
  cases().push_back({sentence, file, body});
}

void fail(const char* file, int line, const std::string& what) {
  if (++failures <= 5) std::printf("  %s:%d: %s\n", file, line, what.c_str());
}

}  // namespace minicpm::test

int main(int count, char** words) {
  using namespace minicpm::test;
  const auto wanted = [&](const Case& test) {
    for (int i = 1; i < count; i++) {
      if (std::strstr(test.sentence, words[i]) || std::strstr(test.file, words[i])) return true;
    }
    return count == 1;
  };
  int passed = 0, failed = 0;
  for (const Case& test : cases()) {
    if (!wanted(test)) continue;
    failures = 0;
    const auto start = std::chrono::steady_clock::now();
    try {
      test.body();
    } catch (const std::exception& error) {
      fail(test.file, 0, std::string("threw: ") + error.what());
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    std::printf("%s  %5.1f s  %s\n", failures == 0 ? "ok    " : "FAILED", seconds.count(),
                test.sentence);
    std::fflush(stdout);
    ++(failures == 0 ? passed : failed);
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
