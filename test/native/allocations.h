// Counts every operator new of the test program.
#pragma once

#include <cstdint>

namespace minicpm::test {

int64_t allocations();

}  // namespace minicpm::test
