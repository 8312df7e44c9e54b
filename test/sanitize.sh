#!/bin/sh
# Builds and runs the native tests under AddressSanitizer + UndefinedBehaviorSanitizer, and those with threads under
# ThreadSanitizer.
#
# Usage: test/sanitize.sh [address | thread]      (npm run sanitize; default: both, at the same time)
# The first finding of either ends it with its report, and this script with a non-zero exit code.
set -eu
cd "$(dirname "$0")/.."

# Not detect_stack_use_after_return: gcc 12 misaligns AVX-512 variables on its fake stack.
export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# ThreadSanitizer of older compilers dislikes the randomized address space of newer kernels.
fixed_addresses=
if setarch "$(uname -m)" -R true 2>/dev/null; then fixed_addresses="setarch $(uname -m) -R"; fi

run() {
  case $1 in
    address) $fixed_addresses build/address/build/Release/native_test ;;
    thread) $fixed_addresses build/thread/build/Release/native_test threads test/native workers_test ;;
  esac >"$logs/$1" 2>&1
}

wanted=${1:-address thread}
running=
for sanitizer in $wanted; do
  case $sanitizer in
    address) node native/build.mjs --sanitize address,undefined ;;
    *) node native/build.mjs --sanitize "$sanitizer" ;;
  esac
  run "$sanitizer" &
  running="$running $!"
done
failed=0
for process in $running; do wait "$process" || failed=1; done
for sanitizer in $wanted; do
  echo "== native tests under $sanitizer"
  cat "$logs/$sanitizer"
done
exit $failed
