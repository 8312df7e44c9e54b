// The split of a gram matrix, 64 columns at a time from the last: the columns among themselves,
// then what is left of them, then all that lies before, which takes nearly all of the time and is
// bound by multiply-adds in double.
#include "kernels/feedback.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/table.h"

namespace minicpm::ISA {

namespace {

constexpr int64_t kColumns = 64;
constexpr int64_t kChunk = 512;  // columns whose 64 rows stay in L2
constexpr int64_t kRows = 128;   // rows of an item

/// The lower half of H, row by row. H[k][k] is final once all columns behind k are taken away: the
/// importance of k.
struct Matrix {
  double* h;
  int64_t in;

  double* row(int64_t i) const { return h + i * in; }
  double coefficient(int64_t k, int64_t j) const { return row(k)[j] / row(k)[k]; }
};

/// Takes columns [first, last) away from each other's rows, in columns [begin, end).
void within(const Matrix& m, int64_t first, int64_t last, int64_t begin, int64_t end) {
  for (int64_t k = last - 1; k > first; k--) {
    const double* from = m.row(k);
    for (int64_t i = first; i < k; i++) {
      const double c = m.coefficient(k, i);
      double* to = m.row(i);
      const int64_t stop = end < i + 1 ? end : i + 1;
      for (int64_t j = begin; j < stop; j++) to[j] -= c * from[j];
    }
  }
}

/// Takes four columns from k on away from rows i and i + 1, columns [begin, end).
void take_away(const Matrix& m, int64_t k, int64_t i, int64_t begin, int64_t end) {
  const double* __restrict a = m.row(k), * __restrict b = m.row(k + 1);
  const double* __restrict c = m.row(k + 2), * __restrict d = m.row(k + 3);
  double* __restrict y = m.row(i), * __restrict z = m.row(i + 1);
  const double ya = m.coefficient(k, i), yb = m.coefficient(k + 1, i);
  const double yc = m.coefficient(k + 2, i), yd = m.coefficient(k + 3, i);
  const double za = m.coefficient(k, i + 1), zb = m.coefficient(k + 1, i + 1);
  const double zc = m.coefficient(k + 2, i + 1), zd = m.coefficient(k + 3, i + 1);
  for (int64_t j = begin; j < end; j++) {
    y[j] -= (ya * a[j] + yb * b[j]) + (yc * c[j] + yd * d[j]);
    z[j] -= (za * a[j] + zb * b[j]) + (zc * c[j] + zd * d[j]);
  }
}

/// Takes columns [first, last) away from rows [begin, end) that are before them, in columns of one
/// chunk.
void before(const Matrix& m, int64_t first, int64_t last, int64_t begin, int64_t end,
            int64_t chunk) {
  for (int64_t i = begin; i < end; i += 2) {
    // What is right of the diagonal by one is never read.
    const int64_t stop = chunk + kChunk < i + 2 ? chunk + kChunk : i + 2;
    for (int64_t k = first; k < last; k += 4) take_away(m, k, i, chunk, stop);
  }
}

}  // namespace

void feedback(const Feedback& op, Workers& workers) {
  const int64_t in = op.coefficients.columns;
  const Matrix m{op.work, in};
  const double added = op.added();
  auto* coefficients = static_cast<float*>(op.coefficients.data);
  for_ranges(workers, in, 64, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; i++) {
      for (int64_t j = 0; j <= i; j++) m.row(i)[j] = coefficients[i * in + j];
      m.row(i)[i] += added;
    }
  });
  for (int64_t last = in; last > 0;) {
    const int64_t first = last > kColumns ? last - kColumns : 0;
    within(m, first, last, first, last);
    for_ranges(workers, first, kChunk,
               [&](int64_t begin, int64_t end) { within(m, first, last, begin, end); });
    const int64_t chunks = (first + kChunk - 1) / kChunk, slabs = (first + kRows - 1) / kRows;
    auto item = [&](int at, int) {
      const int64_t begin = at / chunks * kRows, chunk = at % chunks * kChunk;
      const int64_t end = begin + kRows < first ? begin + kRows : first;
      if (chunk < end) before(m, first, last, begin, end, chunk);
    };
    if (first > 0) for_each(workers, static_cast<int>(slabs * chunks), item);
    last = first;
  }
  for_ranges(workers, in, 64, [&](int64_t first, int64_t last) {
    for (int64_t k = first; k < last; k++) {
      static_cast<float*>(op.importance.data)[k] = static_cast<float>(m.row(k)[k]);
      for (int64_t j = 0; j < k; j++) {
        coefficients[k * in + j] = static_cast<float>(m.coefficient(k, j));
      }
    }
  });
}

}  // namespace minicpm::ISA
