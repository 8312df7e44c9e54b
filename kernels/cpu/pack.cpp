// Packing on all threads. What kernels/pack.cpp and kernels/w4_scale.cpp say number by number is
// done here by vectors for w4, whose scales are searched for; the bytes are the same.
#include "kernels/pack.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/table.h"
#include "kernels/packed.h"

namespace minicpm::ISA {

namespace {

constexpr int kMostGroup = 128;

/// A group of a row of weights, and what the search needs of each number.
struct Group {
  float numbers[kMostGroup], squares[kMostGroup], cubes[kMostGroup];
  int count;      // a multiple of 32
  float largest;  // the number of the largest magnitude, the first of equals
  bool finite;
};

template <typename T>
void load_group(const T* x, int count, Group& group) {
  const f32x16 zero = broadcast(0);
  f32x16 above = zero, below = zero, none = zero;
  for (int i = 0; i < count; i += kLanes) {
    const f32x16 number = load(x + i), square = number * number;
    store(group.numbers + i, number);
    store(group.squares + i, square);
    store(group.cubes + i, square * number);
    above = max(number, above);
    below = max(zero - number, below);
    none = none + number * zero;  // 0, or no number
  }
  const float most = largest(above), least = largest(below);
  group.count = count;
  group.finite = sum(none) == 0;
  group.largest = most > least ? most : -least;
  if (most == least && group.finite) {
    for (int i = 0; i < count; i++) {
      if (group.numbers[i] != most && group.numbers[i] != -most) continue;
      group.largest = group.numbers[i];
      break;
    }
  }
}

/// Ties to even, still floats.
inline f32x16 nearest(f32x16 quotient) {
  const f32x16 shifter = broadcast(0x1.8p23f);
  return (quotient + shifter) - shifter;
}

/// The same, clamped.
inline f32x16 rounded(f32x16 quotient) {
  const f32x16 low = broadcast(-8), high = broadcast(7);
  const f32x16 least = max(quotient, low);
  return nearest(select_less(least, high, least, high));
}

/// Sums of x q and of q q, each weighted with x^2, in lanes.
template <typename Round>
inline void fit(const Group& group, float inverse, float* xq, float* qq, Round round) {
  f32x16 xqs = broadcast(0), qqs = broadcast(0);
  for (int i = 0; i < group.count; i += kLanes) {
    const f32x16 q = round(load(group.numbers + i) * broadcast(inverse));
    xqs = xqs + load(group.cubes + i) * q;
    qqs = qqs + load(group.squares + i) * q * q;
  }
  store(xq, xqs);
  store(qq, qqs);
}

/// w4_scale of kernels/w4_scale.h. The lanes are added in their order, after all fits: the
/// processor does several such sums at once.
float best_scale(const Group& group) {
  constexpr int kFits = 11;
  float lanes[2 * kFits][kLanes], sums[2 * kFits] = {};
  for (int step = 0; step < kFits; step++) {
    const float levels = 6.5f + 0.25f * static_cast<float>(step);
    const float inverse = levels / -group.largest;
    float *xq = lanes[step], *qq = lanes[kFits + step];
    if (levels < 7.5f) {  // 7 at most
      fit(group, inverse, xq, qq, nearest);
    } else {
      fit(group, inverse, xq, qq, rounded);
    }
  }
  for (int sum = 0; sum < 2 * kFits; sum++) {
    for (int i = 0; i < kLanes; i++) sums[sum] += lanes[sum][i];
  }
  float best = group.largest / -8, most = 0;
  for (int step = 0; step < kFits; step++) {
    const float xq = sums[step], qq = sums[kFits + step];
    const float explained = qq > 0 ? xq * (xq / qq) : 0;
    if (explained > most) {
      most = explained;
      best = xq / qq;
    }
  }
  return best;
}

/// errors[i] = x - scale * q.
void round_errors(const Group& group, float scale, float* errors) {
  for (int i = 0; i < group.count; i += kLanes) {
    const f32x16 x = load(group.numbers + i);
    store(errors + i, x - broadcast(scale) * rounded(x / broadcast(scale)));
  }
}

/// Whether w4_error of the first scale is below that of the second.
bool is_better(const Group& group, float scale, float other) {
  constexpr int kSums = 8;
  float errors[kMostGroup], others[kMostGroup];
  round_errors(group, scale, errors);
  round_errors(group, other, others);
  double terms[kMostGroup], other_terms[kMostGroup], sums[kSums] = {}, differences[kSums] = {};
  for (int i = 0; i < group.count; i++) {
    const double x = group.numbers[i], error = errors[i], its_error = others[i];
    terms[i] = x * x * error * error;
    other_terms[i] = x * x * its_error * its_error;
  }
  for (int i = 0; i < group.count; i += kSums) {
    for (int j = 0; j < kSums; j++) {
      sums[j] += terms[i + j] + other_terms[i + j];
      differences[j] += terms[i + j] - other_terms[i + j];
    }
  }
  double all = 0, difference = 0;
  for (int j = 0; j < kSums; j++) all += sums[j], difference += differences[j];
  // The order of 128 positive terms changes less than 2^-44 of their sum: only what is nearer is
  // added up in the order of the definition, which takes long.
  if (difference > all * 1e-12) return false;
  if (difference < all * -1e-12) return true;
  double first = 0, second = 0;
  for (int i = 0; i < group.count; i++) first += terms[i], second += other_terms[i];
  return first < second;
}

uint16_t stored_scale(const Group& group) {
  if (!group.finite) return kPackedNan;
  const uint16_t plain = packed_scale(group.largest / -8);
  const float magnitude = group.largest < 0 ? -group.largest : group.largest;
  if (plain == 0 || !(magnitude > 1e-8f && magnitude < 1e9f)) return plain;
  const uint16_t fitted = packed_scale(best_scale(group));
  if (fitted == 0 || fitted == plain) return plain;
  return is_better(group, f16_to_f32(fitted), f16_to_f32(plain)) ? fitted : plain;
}

/// The group's integers, of two steps in a byte, to the row's places in its lines.
void store_integers(const Group& group, float scale, unsigned char* lines) {
  const bool none = !(scale > 0 || scale < 0);
  constexpr int kBoth = 2 * kPackedStep;
  for (int i = 0; i < group.count; i += kLanes) {
    float q[kLanes];
    const f32x16 quotient = load(group.numbers + i) / broadcast(none ? 1 : scale);
    store(q, none ? broadcast(0) : rounded(quotient));
    for (int j = 0; j < kLanes; j += kBoth, lines += kPackedLine) {
      for (int byte = 0; byte < kPackedStep; byte++) {
        const float both = q[j + byte] + 16 * q[j + kPackedStep + byte] + 136;  // 8 and 16 * 8
        lines[byte] = static_cast<unsigned char>(static_cast<int>(both));
      }
    }
  }
}

/// One row tile of w4.
template <typename T>
void pack_w4_tile(const Pack& op, int64_t tile) {
  const int64_t columns = op.y.columns, width = op.y.group;
  const auto bytes = packed_tile_bytes(DType::w4, columns, op.y.group);
  auto* scales = op.y.as<unsigned char>() + tile * bytes;
  auto* integers = scales + packed_scale_bytes(columns, op.y.group);
  __builtin_memset(scales, 0, static_cast<size_t>(integers - scales));
  Group group;
  for (int64_t lane = 0; lane < kPackedRows; lane++) {
    const int64_t row = tile * kPackedRows + lane;
    const bool empty = row >= op.x.rows;
    for (int64_t first = 0; first < columns; first += width) {
      const auto count = static_cast<int>(columns - first < width ? columns - first : width);
      const T zeros[kMostGroup] = {};
      load_group(empty ? zeros : op.x.as<T>() + row * columns + first, count, group);
      const uint16_t scale = stored_scale(group);
      __builtin_memcpy(scales + 2 * (first / width * kPackedRows + lane), &scale, sizeof scale);
      const int64_t line = first / (2 * kPackedStep);
      store_integers(group, f16_to_f32(scale), integers + line * kPackedLine + lane * kPackedStep);
    }
  }
}

}  // namespace

void pack(const Pack& op, Workers& workers) {
  workers.reserve(static_cast<size_t>(op.x.columns) * sizeof(float), 0);
  auto one = [&](int tile, int thread) {
    if (op.y.dtype != DType::w4) {
      pack_tile(op, tile, static_cast<float*>(workers.scratch(thread)));
    } else if (op.x.dtype == DType::f32) {
      pack_w4_tile<float>(op, tile);
    } else if (op.x.dtype == DType::f16) {
      pack_w4_tile<F16>(op, tile);
    } else {
      pack_w4_tile<Bf16>(op, tile);
    }
  };
  for_each(workers, static_cast<int>(packed_tiles(op.x.rows)), one);
}

}  // namespace minicpm::ISA
