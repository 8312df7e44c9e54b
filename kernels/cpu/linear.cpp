// Linear with float weights, used as the file has them. An output is a dot product: lanes run along
// k, one accumulator register an output, one fixed tree over its lanes at the end. Both paths below
// keep that order, so a row's bits do not depend on the rows beside it:
//   up to 6 rows (decode): weights stream from memory once, 4 weight rows at a time; bound by
//   bandwidth; more rows (prefill): strips of weights become float in a thread's scratch, register
//   tiles of 4 weight rows x kTileTokens tokens run over them; bound by FMA.
#include "kernels/linear.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/table.h"

namespace minicpm::ISA {

namespace {

constexpr int kTileRows = 4;          // what sum4 reduces together
constexpr int kGemvTokens = 6;        // most rows of the decode path
constexpr int kChunk = 1024;          // k of one register tile: tokens * chunk floats stay in L1
constexpr int kStripBytes = 1 << 18;  // float weights of a strip, in L2
constexpr int kStripRows = 32;        // at most
// Registers bound the tile: 32 for AVX-512, 16 otherwise.
constexpr int kTileTokens = kWideLanes == 16 ? 6 : 3;

/// The numbers [k, in) of a row, fewer than a register, the lanes beyond them 0.
template <typename T>
inline Wide load_tail(const T* row, int64_t k, int64_t in) {
  T padded[kWideLanes] = {};
  __builtin_memcpy(padded, row + k, static_cast<size_t>(in - k) * sizeof(T));
  return load_wide(padded);
}

/// y[t][n..n + rows) = residual + scale * (sums' lanes added up); sums is [tokens][4].
void finish(const Linear& op, int64_t token, int tokens, int64_t n, int rows, const Wide* sums) {
  const int64_t out = op.weight.rows;
  for (int m = 0; m < tokens; m++, sums += kTileRows) {
    float totals[kTileRows];
    sum4(sums[0], sums[1], sums[2], sums[3], totals);
    const int64_t at = (token + m) * out + n;
    float* y = static_cast<float*>(op.y.data) + at;
    const float* residual =
        op.residual.data ? static_cast<const float*>(op.residual.data) + at : nullptr;
    for (int r = 0; r < rows; r++) {
      const float scaled = op.scale * totals[r];
      y[r] = residual ? residual[r] + scaled : scaled;
    }
  }
}

/// The dot products of R weight rows with M rows of x, lane by lane.
template <typename T, int R, int M>
inline void dot_rows(const T* weight, const float* x, int64_t in, Wide* sums) {
  Wide a[M][R];
  for (int m = 0; m < M; m++) {
    for (int r = 0; r < R; r++) a[m][r] = broadcast_wide(0);
  }
  const auto step = [&](auto weights_at, auto x_at) {
    Wide w[R];
    for (int r = 0; r < R; r++) w[r] = weights_at(weight + r * in);
    for (int m = 0; m < M; m++) {
      const Wide v = x_at(x + m * in);
      for (int r = 0; r < R; r++) a[m][r] = multiply_add(w[r], v, a[m][r]);
    }
  };
  int64_t k = 0;
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

/// Weight rows [first, last) for the M rows of x.
template <typename T, int M>
void gemv(const Linear& op, int64_t first, int64_t last) {
  constexpr int R = kTileRows * M <= 12 || kWideLanes == 16 ? kTileRows : kTileRows / 2;
  const int64_t in = op.x.columns;
  const float* x = static_cast<const float*>(op.x.data);
  for (int64_t n = first; n < last; n += kTileRows) {
    const T* weight = static_cast<const T*>(op.weight.data) + n * in;
    const int rows = static_cast<int>(last - n < kTileRows ? last - n : kTileRows);
    Wide sums[M * kTileRows];
    int r = 0;
    for (; r + R <= rows; r += R) {
      dot_rows<T, R, M>(weight + r * in, x, in, sums + r);
    }
    for (; r < rows; r++) {
      dot_rows<T, 1, M>(weight + r * in, x, in, sums + r);
    }
    for (; r < kTileRows; r++) {
      for (int m = 0; m < M; m++) sums[m * kTileRows + r] = broadcast_wide(0);
    }
    finish(op, 0, M, n, rows, sums);
  }
}

template <typename T>
void few_rows(const Linear& op, Workers& workers) {
  using Gemv = void (*)(const Linear&, int64_t, int64_t);
  constexpr Gemv kGemv[kGemvTokens] = {gemv<T, 1>, gemv<T, 2>, gemv<T, 3>,
                                       gemv<T, 4>, gemv<T, 5>, gemv<T, 6>};
  const Gemv kernel = kGemv[op.x.rows - 1];
  const int64_t out = op.weight.rows, row_bytes = op.x.columns * static_cast<int64_t>(sizeof(T));
  // Items of about 64 KiB of weights: small enough to balance, large enough to stream.
  int64_t rows = (65536 / (row_bytes > 0 ? row_bytes : 1) + kTileRows - 1) / kTileRows * kTileRows;
  if (rows < kTileRows) rows = kTileRows;
  auto item = [&](int i, int) {
    const int64_t first = i * rows;
    kernel(op, first, first + rows < out ? first + rows : out);
  };
  for_each(workers, static_cast<int>((out + rows - 1) / rows), item);
}

/// One register tile: 4 packed weight rows x M tokens over `steps` registers of k, added to `sums`.
template <int M>
void multiply_tile(const float* packed, const float* x, int64_t stride, int64_t steps, Wide* sums) {
  Wide a[M][kTileRows];
  for (int m = 0; m < M; m++) {
    for (int r = 0; r < kTileRows; r++) a[m][r] = sums[m * kTileRows + r];
  }
  for (int64_t s = 0; s < steps; s++, packed += kTileRows * kWideLanes, x += kWideLanes) {
    Wide v[M];
    for (int m = 0; m < M; m++) v[m] = load_wide(x + m * stride);
    for (int r = 0; r < kTileRows; r++) {
      const Wide w = load_wide(packed + r * kWideLanes);
      for (int m = 0; m < M; m++) a[m][r] = multiply_add(w, v[m], a[m][r]);
    }
  }
  for (int m = 0; m < M; m++) {
    for (int r = 0; r < kTileRows; r++) sums[m * kTileRows + r] = a[m][r];
  }
}

using MultiplyTile = void (*)(const float*, const float*, int64_t, int64_t, Wide*);
constexpr MultiplyTile kMultiplyTile[] = {multiply_tile<1>, multiply_tile<2>, multiply_tile<3>,
                                          multiply_tile<4>, multiply_tile<5>, multiply_tile<6>};

/// A strip of weight rows in a thread's scratch: [rows / 4][steps][4][lanes] floats, zeros beyond
/// the ends.
template <typename T>
void pack_strip(const Linear& op, int64_t first, int64_t last, int64_t steps, float* packed) {
  const int64_t in = op.x.columns;
  for (int64_t n = first; n < last; n += kTileRows, packed += steps * kTileRows * kWideLanes) {
    for (int r = 0; r < kTileRows; r++) {
      const T* row = static_cast<const T*>(op.weight.data) + (n + r) * in;
      for (int64_t s = 0; s < steps; s++) {
        const int64_t k = s * kWideLanes;
        const Wide w = n + r >= last          ? broadcast_wide(0)
                       : k + kWideLanes <= in ? load_wide(row + k)
                                              : load_tail(row, k, in);
        store(packed + (s * kTileRows + r) * kWideLanes, w);
      }
    }
  }
}

/// Where the pieces of a thread's scratch begin, and how the work is cut.
struct Plan {
  int64_t steps;         // registers of k a row, the last one perhaps partly used
  int64_t strip_rows;    // weight rows of an item, a multiple of 4
  int64_t block_tokens;  // tokens of an item, a multiple of kTileTokens
  int64_t strips, blocks;

  size_t packed_bytes() const {
    return static_cast<size_t>(strip_rows * steps * kWideLanes) * sizeof(float);
  }
  size_t sums_bytes() const { return static_cast<size_t>(strip_rows * kTileTokens) * sizeof(Wide); }
};

Plan plan_for(const Linear& op, int threads) {
  Plan plan;
  plan.steps = (op.x.columns + kWideLanes - 1) / kWideLanes;
  const int64_t row_bytes = plan.steps * kWideLanes * static_cast<int64_t>(sizeof(float));
  plan.strip_rows = kStripBytes / (row_bytes > 0 ? row_bytes : 1) / kTileRows * kTileRows;
  if (plan.strip_rows > kStripRows) plan.strip_rows = kStripRows;
  if (plan.strip_rows < kTileRows) plan.strip_rows = kTileRows;
  plan.strips = (op.weight.rows + plan.strip_rows - 1) / plan.strip_rows;
  // Few strips on many threads: cut the tokens, too.
  const int64_t tiles = (op.x.rows + kTileTokens - 1) / kTileTokens;
  int64_t cuts = (4 * threads + plan.strips - 1) / plan.strips;
  if (cuts > tiles) cuts = tiles;
  plan.block_tokens = (tiles + cuts - 1) / cuts * kTileTokens;
  plan.blocks = (op.x.rows + plan.block_tokens - 1) / plan.block_tokens;
  return plan;
}

/// One strip of weights against the tokens [token, token_end).
void multiply_strip(const Linear& op, const Plan& plan, const float* packed, Wide* all_sums,
                    int64_t first, int64_t last, int64_t token, int64_t token_end) {
  const int64_t in = op.x.columns;
  const int64_t whole = in / kWideLanes;  // steps that x can be read in place
  constexpr int64_t kChunkSteps = kChunk / kWideLanes;
  for (; token < token_end; token += kTileTokens) {
    const int tokens =
        static_cast<int>(token_end - token < kTileTokens ? token_end - token : kTileTokens);
    const float* x = static_cast<const float*>(op.x.data) + token * in;
    const MultiplyTile multiply = kMultiplyTile[tokens - 1];
    float tail[kTileTokens * kWideLanes];
    for (int m = 0; whole < plan.steps && m < tokens; m++) {
      store(tail + m * kWideLanes, load_tail(x + m * in, whole * kWideLanes, in));
    }
    for (int64_t chunk = 0; chunk < plan.steps; chunk += kChunkSteps) {
      const bool ends = chunk + kChunkSteps >= plan.steps;
      const int64_t chunk_end = chunk + kChunkSteps < whole ? chunk + kChunkSteps : whole;
      for (int64_t n = first; n < last; n += kTileRows) {
        const float* rows = packed + (n - first) * plan.steps * kWideLanes;
        Wide* sums = all_sums + (n - first) * kTileTokens;
        for (int i = 0; chunk == 0 && i < tokens * kTileRows; i++) sums[i] = broadcast_wide(0);
        multiply(rows + chunk * kTileRows * kWideLanes, x + chunk * kWideLanes, in,
                 chunk_end - chunk, sums);
        if (!ends) continue;
        if (whole < plan.steps) {
          multiply(rows + whole * kTileRows * kWideLanes, tail, kWideLanes, 1, sums);
        }
        const int used = static_cast<int>(last - n < kTileRows ? last - n : kTileRows);
        finish(op, token, tokens, n, used, sums);
      }
    }
  }
}

template <typename T>
void many_rows(const Linear& op, Workers& workers) {
  const Plan plan = plan_for(op, workers.threads());
  workers.reserve(plan.packed_bytes() + plan.sums_bytes(), 0);
  auto item = [&](int i, int thread) {
    float* packed = static_cast<float*>(workers.scratch(thread));
    Wide* sums = reinterpret_cast<Wide*>(packed + plan.packed_bytes() / sizeof(float));
    const int64_t strip = i / plan.blocks, block = i % plan.blocks;
    const int64_t first = strip * plan.strip_rows, token = block * plan.block_tokens;
    const int64_t end = first + plan.strip_rows, token_end = token + plan.block_tokens;
    const int64_t last = end < op.weight.rows ? end : op.weight.rows;
    pack_strip<T>(op, first, last, plan.steps, packed);
    multiply_strip(op, plan, packed, sums, first, last, token,
                   token_end < op.x.rows ? token_end : op.x.rows);
  };
  for_each(workers, static_cast<int>(plan.strips * plan.blocks), item);
}

template <typename T>
void linear_as(const Linear& op, Workers& workers) {
  if (op.x.rows <= kGemvTokens) {
    few_rows<T>(op, workers);
  } else {
    many_rows<T>(op, workers);
  }
}

}  // namespace

void linear(const Linear& op, Workers& workers) {
  if (op.x.rows == 0 || op.weight.rows == 0) return;
  switch (op.weight.dtype) {
    case DType::f16:
      return linear_as<F16>(op, workers);
    case DType::bf16:
      return linear_as<Bf16>(op, workers);
    default:
      return linear_as<float>(op, workers);
  }
}

}  // namespace minicpm::ISA
