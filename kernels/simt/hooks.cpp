// What -fsanitize=thread calls before each access of a kernel; the sanitizer's own library is not
// linked, these take its place.
#include "kernels/simt/checker.h"

namespace {

using minicpm::simt::Access;
using minicpm::simt::check_access;

}  // namespace

// volatile accesses are ordinary ones to the checker: they order nothing.
#define MINICPM_HOOKS(bytes)                                            \
  void __tsan_read##bytes(const void* p) {                              \
    check_access(p, bytes, Access::read, __builtin_return_address(0));  \
  }                                                                     \
  void __tsan_write##bytes(const void* p) {                             \
    check_access(p, bytes, Access::write, __builtin_return_address(0)); \
  }                                                                     \
  void __tsan_unaligned_read##bytes(const void* p) {                    \
    check_access(p, bytes, Access::read, __builtin_return_address(0));  \
  }                                                                     \
  void __tsan_unaligned_write##bytes(const void* p) {                   \
    check_access(p, bytes, Access::write, __builtin_return_address(0)); \
  }                                                                     \
  void __tsan_volatile_read##bytes(const void* p) {                     \
    check_access(p, bytes, Access::read, __builtin_return_address(0));  \
  }                                                                     \
  void __tsan_volatile_write##bytes(const void* p) {                    \
    check_access(p, bytes, Access::write, __builtin_return_address(0)); \
  }

extern "C" {
MINICPM_HOOKS(1)
MINICPM_HOOKS(2)
MINICPM_HOOKS(4)
MINICPM_HOOKS(8)
MINICPM_HOOKS(16)
void __tsan_read_range(const void* p, size_t bytes) {
  check_access(p, bytes, Access::read, __builtin_return_address(0));
}
void __tsan_write_range(const void* p, size_t bytes) {
  check_access(p, bytes, Access::write, __builtin_return_address(0));
}
void __tsan_vptr_update(void**, void*) {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_init() {
  minicpm::simt::checking = true;
}
}
