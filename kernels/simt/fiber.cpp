#include "kernels/simt/fiber.h"

#if !defined(__x86_64__)
#error "The switch below is for x86-64; another processor needs its own."
#endif

// What a callee must preserve is on the stack while a fiber is suspended; the rest is the caller's
// business. An ordinary function to the compiler.
extern "C" void minicpm_switch_fiber(void** here, void* there);
asm(R"(
.text
.globl minicpm_switch_fiber
.hidden minicpm_switch_fiber
.type minicpm_switch_fiber,@function
minicpm_switch_fiber:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size minicpm_switch_fiber,.-minicpm_switch_fiber
)");

namespace minicpm::simt {

FiberPoint new_fiber(std::byte* top, void (*entry)()) {
  constexpr int kSavedRegisters = 6;
  auto** stack = reinterpret_cast<void**>(top);
  *--stack = nullptr;  // in place of a return address: a function starts at 8 past a multiple of 16
  *--stack = reinterpret_cast<void*>(entry);
  for (int i = 0; i < kSavedRegisters; i++) *--stack = nullptr;
  return stack;
}

void switch_fiber(FiberPoint& here, FiberPoint there) {
  minicpm_switch_fiber(&here, there);
}

}  // namespace minicpm::simt
