#!/bin/sh
# Builds and runs the native tests under AddressSanitizer + UndefinedBehaviorSanitizer, then under ThreadSanitizer.
#
# Usage: test/sanitize.sh [address,undefined | thread]      (npm run sanitize; default: both, one after the other)
# The first finding ends the run with its report and a non-zero exit code.
set -eu
cd "$(dirname "$0")/.."

# Not detect_stack_use_after_return: gcc 12 misaligns AVX-512 variables on its fake stack.
export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1

# ThreadSanitizer of older compilers dislikes the randomized address space of newer kernels.
fixed_addresses=
if setarch "$(uname -m)" -R true 2>/dev/null; then fixed_addresses="setarch $(uname -m) -R"; fi

for sanitizer in ${1:-address,undefined thread}; do
  echo "== native tests under $sanitizer"
  node native/build.mjs --sanitize "$sanitizer"
  $fixed_addresses "build/${sanitizer%%,*}/build/Release/native_test"
done
