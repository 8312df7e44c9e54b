// Linear with float weights, used as the file has them. An output is a dot product: lanes run along
// k, one accumulator register an output, one fixed tree over its lanes at the end. That order is
// the same for every number of rows, so a row's bits do not depend on the rows beside it.
//
// Up to 6 rows (decode) are bound by bandwidth: weights stream from memory once. More rows
// (prefill) take the same path in passes of 6 rows and are bound by FMA; after the first pass the
// weights of an item come from L2. Unpacking bf16 in the inner loop costs less than a packed float
// copy of the weights did (84 against 80 % of the FMA peak at 64 rows, AVX-512).
#include "kernels/linear.h"

#include "kernels/cpu/linear_packed.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/table.h"

namespace minicpm::ISA {

namespace {

constexpr int kTileRows = 4;  // weight rows that sum4 reduces together
constexpr int kPassRows = 6;  // most rows of x in one pass; with 4 weight rows, 24 accumulators
constexpr int64_t kItemBytes = 1 << 19;   // most weights of an item: they stay in L2
constexpr int64_t kLeastBytes = 1 << 15;  // less than this, times the rows, is not worth a thread
constexpr int64_t kBlockBytes = 1 << 23;  // rows of x that all items take before the next: in L3
constexpr int64_t kAhead = 2048;          // bytes of a stream of weights prefetched ahead, to L2

/// The numbers [k, in) of a row, fewer than a register, the lanes beyond them 0.
template <typename T>
inline Wide load_tail(const T* row, int64_t k, int64_t in) {
  T padded[kWideLanes] = {};
  __builtin_memcpy(padded, row + k, static_cast<size_t>(in - k) * sizeof(T));
  return load_wide(padded);
}

/// y[t][n + r * apart] = residual + scale * (lanes of sums added up), r < rows; sums is
/// [tokens][4].
void finish(const Linear& op, int64_t token, int tokens, int64_t n, int64_t apart, int rows,
            const Wide* sums) {
  const int64_t out = op.weight.rows;
  const float* residual = static_cast<const float*>(op.residual.data);
  for (int m = 0; m < tokens; m++, sums += kTileRows) {
    float totals[kTileRows];
    sum4(sums[0], sums[1], sums[2], sums[3], totals);
    for (int r = 0; r < rows; r++) {
      const int64_t at = (token + m) * out + n + r * apart;
      const float scaled = op.scale * totals[r];
      static_cast<float*>(op.y.data)[at] = residual ? residual[at] + scaled : scaled;
    }
  }
}

/// The products of R weight rows, `apart` elements from each other, and M rows of x, lane by lane.
template <typename T, int R, int M>
inline void dot_rows(const T* weight, int64_t apart, const float* x, int64_t in, Wide* sums) {
  Wide a[M][R];
  for (int m = 0; m < M; m++) {
    for (int r = 0; r < R; r++) a[m][r] = broadcast_wide(0);
  }
  const auto step = [&](auto weights_at, auto x_at) {
    Wide w[R];
    for (int r = 0; r < R; r++) w[r] = weights_at(weight + r * apart);
    for (int m = 0; m < M; m++) {
      const Wide v = in_register(x_at(x + m * in));
      for (int r = 0; r < R; r++) a[m][r] = multiply_add(w[r], v, a[m][r]);
    }
  };
  constexpr int64_t kLine = 64 / static_cast<int64_t>(sizeof(T));  // elements
  int64_t k = 0;
  for (; k + kLine <= in; k += kLine) {
    for (int r = 0; r < R; r++) {
      __builtin_prefetch(reinterpret_cast<const char*>(weight + r * apart + k) + kAhead, 0, 2);
    }
    for (int64_t i = k; i < k + kLine; i += kWideLanes) {
      const auto whole = [&](auto* row) { return load_wide(row + i); };
      step(whole, whole);
    }
  }
  for (; k + kWideLanes <= in; k += kWideLanes) {
    const auto whole = [&](auto* row) { return load_wide(row + k); };
    step(whole, whole);
  }
  if (k < in) {
    const auto tail = [&](auto* row) { return load_tail(row, k, in); };
    step(tail, tail);
  }
  for (int m = 0; m < M; m++) {
    for (int r = 0; r < R; r++) sums[m * kTileRows + r] = a[m][r];
  }
}

/// Weight rows [first, last) for M rows of x from `token` on. The four rows of a tile are a quarter
/// of the item apart, four streams each straight through its quarter: the processor's prefetching
/// follows streams in pages of their own, and loses them where two short rows share a page (rows of
/// 2 KiB, one thread of Zen 4: 25.7 GB/s, with neighbouring rows 11.6; plain reading reaches 26.6).
template <typename T, int M>
void multiply(const Linear& op, int64_t token, int64_t first, int64_t last) {
  // 16 registers hold 12 accumulators, 32 hold 24.
  constexpr int R = kTileRows * M <= 12 || kWideLanes == 16 ? kTileRows : kTileRows / 2;
  const int64_t in = op.x.columns;
  const float* x = static_cast<const float*>(op.x.data) + token * in;
  const T* weights = static_cast<const T*>(op.weight.data);
  const int64_t quarter = (last - first) / kTileRows;
  Wide sums[M * kTileRows];
  for (int64_t n = first; n < first + quarter; n++) {
    for (int r = 0; r < kTileRows; r += R) {
      dot_rows<T, R, M>(weights + (n + r * quarter) * in, quarter * in, x, in, sums + r);
    }
    finish(op, token, M, n, quarter, kTileRows, sums);
  }
  for (Wide& sum : sums) sum = broadcast_wide(0);
  for (int64_t n = first + quarter * kTileRows; n < last; n++) {
    dot_rows<T, 1, M>(weights + n * in, 0, x, in, sums);
    finish(op, token, M, n, 0, 1, sums);
  }
}

template <typename T>
void linear_as(const Linear& op, Workers& workers) {
  using Multiply = void (*)(const Linear&, int64_t, int64_t, int64_t);
  constexpr Multiply kMultiply[kPassRows] = {multiply<T, 1>, multiply<T, 2>, multiply<T, 3>,
                                             multiply<T, 4>, multiply<T, 5>, multiply<T, 6>};
  const int64_t out = op.weight.rows, row_bytes = op.x.columns * static_cast<int64_t>(sizeof(T));
  // Smaller items where large ones would leave threads without work.
  int64_t bytes = out * row_bytes / (4 * workers.threads());
  if (bytes < kLeastBytes / op.x.rows) bytes = kLeastBytes / op.x.rows;
  if (bytes > kItemBytes) bytes = kItemBytes;
  const int64_t rows = (bytes / row_bytes / kTileRows + 1) * kTileRows;
  const int64_t items = (out + rows - 1) / rows;
  int64_t block = kBlockBytes / (op.x.columns * static_cast<int64_t>(sizeof(float)));
  if (block < kPassRows) block = kPassRows;
  const int64_t blocks = (op.x.rows + block - 1) / block;
  auto item = [&](int i, int) {
    const int64_t first = i % items * rows, last = first + rows < out ? first + rows : out;
    const int64_t begin = op.x.rows * (i / items) / blocks;
    const int64_t count = op.x.rows * (i / items + 1) / blocks - begin;
    const int64_t passes = (count + kPassRows - 1) / kPassRows;
    for (int64_t pass = 0; pass < passes; pass++) {
      const int64_t token = begin + count * pass / passes;
      const int64_t next = begin + count * (pass + 1) / passes;
      kMultiply[next - token - 1](op, token, first, last);
    }
  };
  for_each(workers, static_cast<int>(items * blocks), item);
}

}  // namespace

void linear(const Linear& op, Workers& workers) {
  if (op.x.rows == 0 || op.weight.rows == 0) return;
  switch (op.weight.dtype) {
    case DType::w8:
    case DType::w6:
    case DType::w5:
    case DType::w4:
    case DType::w2:
      return op.x.dtype == DType::a8 ? linears_rounded({{op}, 1}, workers)
                                     : linear_widened(op, workers);
    case DType::f16:
      return linear_as<F16>(op, workers);
    case DType::bf16:
      return linear_as<Bf16>(op, workers);
    default:
      return linear_as<float>(op, workers);
  }
}

void linears(const Linears& op, Workers& workers) {
  if (op.parts[0].x.dtype == DType::a8) return linears_rounded(op, workers);
  for (int i = 0; i < op.count; i++) linear(op.parts[i], workers);
}

}  // namespace minicpm::ISA
