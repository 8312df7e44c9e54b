// Linear with packed weights and int8 activations: integer lanes are weight rows, so sums never
// cross lanes, and a tile of weights is read straight through.
//
// One routine serves decode and prefill: 32 columns of weights are unpacked into 8 registers and
// multiplied with up to 6 rows of activations, whose float sums stay in registers over all columns.
// Unpacking anew for every 6 rows costs less than storing unpacked weights would: the packed ones
// of an item stay in L2, a block of activations in L1.
#include "kernels/cpu/linear_packed.h"

#include "kernels/cpu/dot.h"
#include "kernels/cpu/parallel.h"
#include "kernels/quantize_rows.h"

namespace minicpm::ISA {

namespace {

constexpr int64_t kItemBytes = 1 << 18;  // most weights of an item, many passes: they stay in L2
constexpr int64_t kStreamBytes = 1
                                 << 20;  // the same, one pass: a stream loses a little at its start
constexpr int64_t kLeastBytes = 1 << 15;  // less than this, times the rows, is not worth a thread
constexpr int64_t kAhead = 4096;          // bytes of weights prefetched ahead

/// Adds all columns of R neighbouring tiles times the M rows of x; y is [R][M][16].
template <DType F, int R, int M>
void multiply(const unsigned char* tile, const Linear& op, const QuantizedBlock& x, float* y) {
  constexpr int kVectors = R * kParts;
  constexpr int64_t kPartRows = kPackedRows / kParts;
  constexpr int64_t kBlockBytes = kPackedColumns * kPackedRows * packed_bits(F) / 8;
  const int64_t columns = op.weight.columns;
  const int64_t tile_bytes = packed_tile_bytes(F, columns, op.weight.group);
  const int shift = __builtin_ctz(static_cast<unsigned>(op.weight.group / kPackedColumns));
  const auto* scales = reinterpret_cast<const F16*>(tile);
  const unsigned char* lines = tile + packed_scale_bytes(columns, op.weight.group);
  const auto* integers = reinterpret_cast<const int32_t*>(x.integers);

  Dots sums[kVectors][M];
  for (int v = 0; v < kVectors; v++) {
    for (int m = 0; m < M; m++) sums[v][m] = no_dots();
  }
  const int64_t blocks = columns / kPackedColumns;
  for (int64_t block = 0; block < blocks; block++) {
    const F16* scale = scales + (block >> shift) * kPackedRows;
    Dots weight_scales[kVectors];
    for (int v = 0; v < kVectors; v++) {
      weight_scales[v] = load_scales(scale + v / kParts * tile_bytes / 2 + v % kParts * kPartRows);
    }
    for (int64_t r = 0; r < R; r++) {
      for (int64_t line = 0; line < kBlockBytes; line += kPackedLine) {
        __builtin_prefetch(lines + r * tile_bytes + line + kAhead, 0, 3);
      }
    }
    const float* x_scales = x.scales + block * M;
    each_dot<F, R, M>(lines, tile_bytes, integers, x.sums + block * M, [&](int v, int m, Dots dot) {
      sums[v][m] = add_scaled(dot, weight_scales[v], x_scales[m], sums[v][m]);
    });
    lines += kBlockBytes;
    integers += kSteps * M;
  }
  for (int v = 0; v < kVectors; v++) {
    for (int m = 0; m < M; m++) {
      store_dots(y + (v / kParts * M + m) * kPackedRows + v % kParts * kPartRows, sums[v][m]);
    }
  }
}

/// Tiles [first, last) times all rows of x, block by block.
template <DType F, int M>
void multiply_block(const Linear& op, int64_t block, int64_t first, int64_t last) {
  constexpr int R = kTilesAtOnce;
  const QuantizedBlock x = quantized_block(op.x, block);
  const int64_t out = op.weight.rows;
  const int64_t tile_bytes = packed_tile_bytes(F, op.weight.columns, op.weight.group);
  const auto* tiles = static_cast<const unsigned char*>(op.weight.data);
  float y[R * M * kPackedRows];
  for (int64_t i = 0; i < kAhead; i += kPackedLine) {
    __builtin_prefetch(tiles + first * tile_bytes + i, 0, 3);
  }
  for (int64_t tile = first; tile < last;) {
    // Weights that come from memory for one pass are read as one stream.
    const bool all = op.x.rows > kQuantizedRows && tile + R <= last;
    const int64_t count = all ? R : 1;
    if (all) {
      multiply<F, R, M>(tiles + tile * tile_bytes, op, x, y);
    } else {
      multiply<F, 1, M>(tiles + tile * tile_bytes, op, x, y);
    }
    for (int64_t i = 0; i < count * M; i++) {
      const int64_t row = (tile + i / M) * kPackedRows, left = out - row;
      finish_rows(op, y + i * kPackedRows, (block * kQuantizedRows + i % M) * out + row,
                  static_cast<int>(left < kPackedRows ? left : kPackedRows));
    }
    tile += count;
  }
}

template <DType F>
void multiply_tiles(const Linear& op, int64_t first, int64_t last) {
  using Multiply = void (*)(const Linear&, int64_t, int64_t, int64_t);
  constexpr Multiply kMultiply[] = {multiply_block<F, 1>, multiply_block<F, 2>,
                                    multiply_block<F, 3>, multiply_block<F, 4>,
                                    multiply_block<F, 5>, multiply_block<F, 6>};
  for (int64_t row = 0, block = 0; row < op.x.rows; row += kQuantizedRows, block++) {
    const int64_t rows = op.x.rows - row;
    kMultiply[(rows < kQuantizedRows ? rows : kQuantizedRows) - 1](op, block, first, last);
  }
}

/// Tiles of an item: smaller items where large ones would leave threads without work. For one pass,
/// 2 items a thread and not 4: the layers of MiniCPM4-0.5B are read at 47 instead of 42 GB/s (Zen
/// 4, where plain reading reaches 57).
int64_t tiles_of_item(const Linears& op, int threads) {
  int64_t bytes = 0;
  for (int i = 0; i < op.count; i++) {
    const Tensor& weight = op.parts[i].weight;
    bytes +=
        packed_tiles(weight.rows) * packed_tile_bytes(weight.dtype, weight.columns, weight.group);
  }
  const Tensor& weight = op.parts[0].weight;
  const int64_t least = kLeastBytes / op.parts[0].x.rows;
  const bool one_pass = op.parts[0].x.rows <= kQuantizedRows;
  const int64_t most = one_pass ? kStreamBytes : kItemBytes;
  bytes /= (one_pass ? 2 : 4) * int64_t{threads};
  if (bytes < least) bytes = least;
  if (bytes > most) bytes = most;
  const int64_t pairs = bytes / (2 * packed_tile_bytes(weight.dtype, weight.columns, weight.group));
  return 2 * (pairs < 1 ? 1 : pairs);
}

}  // namespace

void finish_rows(const Linear& op, const float* y, int64_t at, int count) {
  const f32x16 scaled = broadcast(op.scale) * load(y);
  float* to = static_cast<float*>(op.y.data) + at;
  const auto* residual = static_cast<const float*>(op.residual.data);
  store_first(to, residual ? load_first(residual + at, count) + scaled : scaled, count);
}

void linears_rounded(const Linears& op, Workers& workers) {
  if (op.parts[0].x.rows == 0) return;
  const int64_t tiles = tiles_of_item(op, workers.threads());
  int64_t items = 0, ends[3];
  for (int i = 0; i < op.count; i++) {
    items += (packed_tiles(op.parts[i].weight.rows) + tiles - 1) / tiles;
    ends[i] = items;
  }
  auto item = [&](int i, int) {
    int part = 0;
    while (i >= ends[part]) part++;
    const Linear& linear = op.parts[part];
    const int64_t all = packed_tiles(linear.weight.rows);
    const int64_t first = (i - (part > 0 ? ends[part - 1] : 0)) * tiles;
    const int64_t last = first + tiles < all ? first + tiles : all;
    switch (linear.weight.dtype) {
      case DType::w8:
        return multiply_tiles<DType::w8>(linear, first, last);
      case DType::w4:
        return multiply_tiles<DType::w4>(linear, first, last);
      default:
        return multiply_tiles<DType::w2>(linear, first, last);
    }
  };
  for_each(workers, static_cast<int>(items), item);
}

}  // namespace minicpm::ISA
