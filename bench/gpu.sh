#!/bin/sh
# Tests and measures CUDA's kernels and whole models on this machine's GPU, within ten minutes.
#
# Usage: bench/gpu.sh [FOLDER]     results go to FOLDER, bench/results/<the card's name> by default
# Needs a card of compute capability 8.0 or newer with its driver, nvcc 12.4 or newer (on the PATH, in /usr/local/cuda, or what
# native/cuda/toolkit brings), make and a C++20 compiler. With Node and after `npm ci`, whole models run too. No network.
# Exit code: 0 if nothing failed. What could not run is said and does not count.
set -u
cd "$(dirname "$0")/.."

card=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1)
if [ -z "$card" ]; then
  echo "There is no NVIDIA card here, or no driver: nvidia-smi names none." >&2
  exit 1
fi
target=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
folder=${1:-bench/results/$(echo "$card" | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9-')}
mkdir -p "$folder"
failed=0

# step FILE COMMAND...: what it prints is shown and kept.
step() {
  file=$folder/$1
  shift
  echo "== $*"
  code=$folder/.code
  { "$@" 2>&1; echo $? >"$code"; } | tee "$file"
  read -r status <"$code"
  rm -f "$code"
  [ "$status" = 0 ] || failed=$((failed + 1))
  echo "== $file: exit code $status"
}

{
  nvidia-smi --query-gpu=name,compute_cap,driver_version,memory.total,clocks.max.sm,clocks.max.memory --format=csv
  "$(native/cuda/toolkit)/bin/nvcc" --version | tail -n 2
} | tee "$folder/card.txt"
export GPU="sm_$target"
step op-tests.txt test/ptx/run gpu
step ops.md test/ptx/run gpu-bench

if ! command -v node >/dev/null || [ ! -d node_modules ]; then
  echo "SKIPPED: no Node, or no \`npm ci\` yet, so no whole model runs"
  exit "$failed"
fi
build() {
  npm run --silent build:native && npm run --silent build:ts && node native/cuda/build.mjs --targets "$target"
}
step build.txt build
export MINICPM_TEST_PLUGIN="$PWD/build/Release/minicpm_cuda.so"
step model-tests.txt npx vitest run --project fast --project slow test/cuda/emulated -t "best token|same bits|reference's"
step steps.md node dist/cli/main.js bench --device cuda:0 --shape minicpm4-0.5b --pack w4 -p 512 -n 64 -d 0,8192 -r 3
step steps-sparse.md node dist/cli/main.js bench --device cuda:0 --shape minicpm4-0.5b --pack w4 --sparse on -p 512 -n 64 -d 32768 -r 3
step steps-ops.md node dist/cli/main.js bench --device cuda:0 --shape minicpm4-0.5b --pack w4 -p 0 -n 32 -r 1 --ops
exit "$failed"
