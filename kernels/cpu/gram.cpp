// Gram matrices. x is copied into panels of 64 columns, token behind token, so that a product of
// two panels reads straight through both; it is bound by multiply-adds.
#include "kernels/gram.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/table.h"

namespace minicpm::ISA {

namespace {

constexpr int64_t kPanel = 64;  // columns
constexpr int kRows = 4;        // of y at once, in registers
constexpr int kRegisters = kWideLanes == 16 ? 4 : 2;
constexpr int64_t kAcross = kRegisters * kWideLanes;

/// Columns [panel * 64, ...) of x, zeros beyond the last.
void copy_panel(const Tensor& x, int64_t panel, float* to) {
  const int64_t first = panel * kPanel, left = x.columns - first;
  const auto bytes = static_cast<size_t>(left < kPanel ? left : kPanel) * sizeof(float);
  for (int64_t t = 0; t < x.rows; t++, to += kPanel) {
    __builtin_memset(to, 0, kPanel * sizeof(float));
    __builtin_memcpy(to, static_cast<const float*>(x.data) + t * x.columns + first, bytes);
  }
}

/// products[r][c] = sum over t of a[t][r] b[t][c] for kRows columns of a, kAcross of b.
void multiply(const float* a, const float* b, int64_t tokens, float* products) {
  Wide sums[kRows][kRegisters];
  for (auto& row : sums) {
    for (Wide& sum : row) sum = broadcast_wide(0);
  }
  for (int64_t t = 0; t < tokens; t++, a += kPanel, b += kPanel) {
    Wide across[kRegisters];
    for (int c = 0; c < kRegisters; c++) across[c] = load_wide(b + c * kWideLanes);
    for (int r = 0; r < kRows; r++) {
      const Wide down = broadcast_wide(a[r]);
      for (int c = 0; c < kRegisters; c++) sums[r][c] = multiply_add(down, across[c], sums[r][c]);
    }
  }
  for (int r = 0; r < kRows; r++) {
    for (int c = 0; c < kRegisters; c++) store(products + r * kAcross + c * kWideLanes, sums[r][c]);
  }
}

}  // namespace

void gram(const Gram& op, Workers& workers) {
  const int64_t in = op.x.columns, tokens = op.x.rows, panels = (in + kPanel - 1) / kPanel;
  workers.reserve(0, static_cast<size_t>(panels * kPanel * tokens) * sizeof(float));
  auto* copies = static_cast<float*>(workers.shared_scratch());
  auto copy = [&](int panel, int) { copy_panel(op.x, panel, copies + panel * kPanel * tokens); };
  for_each(workers, static_cast<int>(panels), copy);
  auto product = [&](int item, int) {
    const int64_t down = item / panels, across = item % panels;
    if (across > down) return;
    const float *a = copies + down * kPanel * tokens, *b = copies + across * kPanel * tokens;
    for (int64_t r = 0; r < kPanel && down * kPanel + r < in; r += kRows) {
      for (int64_t c = 0; c < kPanel; c += kAcross) {
        float products[kRows * kAcross];
        multiply(a + r, b + c, tokens, products);
        for (int64_t i = 0; i < kRows * kAcross; i++) {
          const int64_t row = down * kPanel + r + i / kAcross;
          const int64_t column = across * kPanel + c + i % kAcross;
          if (row < in && column <= row) {
            static_cast<float*>(op.y.data)[row * in + column] += products[i];
          }
        }
      }
    }
  };
  for_each(workers, static_cast<int>(panels * panels), product);
}

}  // namespace minicpm::ISA
