// Rounding with feedback. Rows are lanes, so that each column of 16 or 32 rows is rounded at once,
// and a coefficient is one broadcast for all of them. Nearly all of the time goes to feeding back
// the errors of earlier groups.
#include "kernels/pack_feedback.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/table.h"
#include "kernels/packed.h"

namespace minicpm::ISA {

namespace {

constexpr int kMostGroup = 128;
constexpr int kRegisters = 2;
constexpr int kRows = kWideLanes == 16 ? 32 : 16;   // rows of an item, whole tiles
constexpr int kColumns = kWideLanes == 16 ? 8 : 4;  // fed at once, in registers

/// A group of columns of an item's rows.
struct Group {
  float x[kMostGroup][kRows], v[kMostGroup][kRows];
  float scale[kRows], inverse[kRows];  // 0 where q is 0
  uint16_t stored_scale[kRows];
  unsigned char u[kMostGroup][kRows];  // q, above 0 by the format's zero
  int64_t first;
  int count;
};

/// v[column + i] += sum over j in [begin, end) of coefficients[i, j] errors[j], for so many
/// columns.
template <int Columns>
inline void feed(const float* coefficients, int64_t apart, const float* errors, int64_t begin,
                 int64_t end, float* v) {
  for (int at = 0; at < kRows; at += kRegisters * kWideLanes) {
    Wide sums[Columns][kRegisters];
    for (int i = 0; i < Columns; i++) {
      for (int r = 0; r < kRegisters; r++) {
        sums[i][r] = load_wide(v + i * kRows + at + r * kWideLanes);
      }
    }
    for (int64_t j = begin; j < end; j++) {
      Wide error[kRegisters];
      for (int r = 0; r < kRegisters; r++) {
        error[r] = load_wide(errors + j * kRows + at + r * kWideLanes);
      }
      for (int i = 0; i < Columns; i++) {
        const Wide c = broadcast_wide(coefficients[i * apart + j]);
        for (int r = 0; r < kRegisters; r++) sums[i][r] = multiply_add(c, error[r], sums[i][r]);
      }
    }
    for (int i = 0; i < Columns; i++) {
      for (int r = 0; r < kRegisters; r++) {
        store(v + i * kRows + at + r * kWideLanes, sums[i][r]);
      }
    }
  }
}

/// x of the group, all zeros for rows that do not exist; of rows with a number that is none, too,
/// which are marked by a scale of NaN.
void load_group(const PackFeedback& op, int64_t row, Group& group) {
  for (int lane = 0; lane < kRows; lane++) {
    const bool exists = row + lane < op.x.rows;
    const float* from =
        static_cast<const float*>(op.x.data) + (row + lane) * op.x.columns + group.first;
    float none = 0;
    for (int i = 0; i < group.count && exists; i++) none += from[i] * 0;
    const bool finite = none == 0;
    group.stored_scale[lane] = finite ? 0 : kPackedNan;
    for (int i = 0; i < group.count; i++) {
      group.x[i][lane] = group.v[i][lane] = exists && finite ? from[i] : 0;
    }
  }
}

/// Ties to even, clamped, still floats.
inline f32x16 rounded(f32x16 quotient, f32x16 low, f32x16 high) {
  const f32x16 shifter = broadcast(0x1.8p23f);
  const f32x16 least = max(quotient, low);
  return (select_less(least, high, least, high) + shifter) - shifter;
}

/// The scales of 16 rows by kernels/pack_feedback.h, before they are rounded.
f32x16 best_scales(const Group& group, int lane, const FeedbackLevels& levels,
                   const float* importance) {
  const f32x16 zero = broadcast(0), tiny = broadcast(1e-12f);
  const f32x16 low = broadcast(levels.low), high = broadcast(levels.high);
  f32x16 above = zero, below = zero;
  for (int i = 0; i < group.count; i++) {
    const f32x16 v = load(group.v[i] + lane);
    above = max(v, above);
    below = max(zero - v, below);
  }
  const f32x16 magnitude = max(above, below);
  const f32x16 largest = select_less(above, below, zero - below, above);
  f32x16 best = magnitude / high, most = zero;
  for (int candidate = 0; candidate < levels.count; candidate++) {
    const float level = levels.first + levels.step * static_cast<float>(candidate);
    const f32x16 inverse = broadcast(level) / select_less(magnitude, tiny, broadcast(1), largest);
    f32x16 vq = zero, qq = zero;
    for (int i = 0; i < group.count; i++) {
      const f32x16 v = load(group.v[i] + lane), q = rounded(v * inverse, low, high);
      const f32x16 weighted = broadcast(importance[i]) * q;
      vq = vq + weighted * v;
      qq = qq + weighted * q;
    }
    const f32x16 none = select_less(zero, qq, zero, broadcast(1));
    const f32x16 scale = vq / (qq + none), explained = vq * scale;
    const f32x16 better = select_less(magnitude, tiny, zero, explained);
    best = select_less(most, better, scale, best);
    most = max(better, most);
  }
  return best;
}

void choose_scales(Group& group, const FeedbackLevels& levels, const float* importance) {
  for (int lane = 0; lane < kRows; lane += kLanes) {
    float scales[kLanes];
    store(scales, best_scales(group, lane, levels, importance + group.first));
    for (int i = 0; i < kLanes; i++) {
      uint16_t& stored = group.stored_scale[lane + i];
      if (stored != kPackedNan) stored = packed_scale(scales[i]);
      const float scale = stored == kPackedNan ? 0 : f16_to_f32(stored);
      group.scale[lane + i] = scale;
      group.inverse[lane + i] = scale > 0 || scale < 0 ? 1 / scale : 0;
    }
  }
}

/// Rounds v of a column; errors are what is left of x.
void round_column(Group& group, int column, const FeedbackLevels& levels, float zero,
                  float* errors) {
  for (int lane = 0; lane < kRows; lane += kLanes) {
    const f32x16 quotient = load(group.v[column] + lane) * load(group.inverse + lane);
    const f32x16 q = rounded(quotient, broadcast(levels.low), broadcast(levels.high));
    store(errors + lane, load(group.x[column] + lane) - load(group.scale + lane) * q);
    float u[kLanes];
    store(u, q + broadcast(zero));
    for (int i = 0; i < kLanes; i++) {
      group.u[column][lane + i] = static_cast<unsigned char>(static_cast<int>(u[i]));
    }
  }
}

void store_group(const PackFeedback& op, int64_t row, const Group& group) {
  const DType format = op.y.dtype;
  const int bits = packed_bits(format);
  for (int lane = 0; lane < kRows && row + lane < packed_tiles(op.y.rows) * kPackedRows; lane++) {
    auto* tile = static_cast<unsigned char*>(op.y.data) +
                 (row + lane) / kPackedRows * packed_tile_bytes(op.y);
    auto* integers = tile + packed_scale_bytes(op.y.columns, op.y.group);
    const int64_t in_tile = lane % kPackedRows;
    const int64_t scale = group.first / op.y.group * kPackedRows + in_tile;
    __builtin_memcpy(tile + 2 * scale, &group.stored_scale[lane], sizeof(uint16_t));
    for (int i = 0; i < group.count; i++) {
      const int64_t column = group.first + i;
      const PackedPlace place = packed_place(bits, in_tile, column);
      integers[column / kPackedColumns * packed_block_bytes(format) + place.byte] |=
          static_cast<unsigned char>(group.u[i][lane] << place.shift);
    }
  }
}

/// Rows [row, row + kRows). `errors` is memory for [columns][kRows].
void pack_rows(const PackFeedback& op, int64_t row, Group& group, float* errors) {
  const int64_t columns = op.y.columns, width = op.y.group;
  const FeedbackLevels levels = feedback_levels(op.y.dtype);
  const auto zero = static_cast<float>(packed_zero(op.y.dtype));
  const auto* importance = static_cast<const float*>(op.importance.data);
  for (group.first = 0; group.first < columns; group.first += width) {
    const int64_t first = group.first;
    group.count = static_cast<int>(columns - first < width ? columns - first : width);
    const float* coefficients = static_cast<const float*>(op.coefficients.data) + first * columns;
    load_group(op, row, group);
    for (int i = 0; i < group.count; i += kColumns) {
      feed<kColumns>(coefficients + i * columns, columns, errors, 0, first, group.v[i]);
    }
    choose_scales(group, levels, importance);
    for (int i = 0; i < group.count; i++) {
      feed<1>(coefficients + i * columns, columns, errors, first, first + i, group.v[i]);
      round_column(group, i, levels, zero, errors + (first + i) * kRows);
    }
    store_group(op, row, group);
  }
}

}  // namespace

void pack_feedback(const PackFeedback& op, Workers& workers) {
  const int64_t items = (op.x.rows + kRows - 1) / kRows;
  const auto errors = static_cast<size_t>(op.x.columns * kRows) * sizeof(float);
  workers.reserve(errors + sizeof(Group), 0);
  auto item = [&](int i, int thread) {
    const int64_t row = i * int64_t{kRows}, bytes = packed_tile_bytes(op.y);
    const int64_t tiles = packed_tiles((op.x.rows - row < kRows ? op.x.rows - row : kRows));
    __builtin_memset(static_cast<unsigned char*>(op.y.data) + row / kPackedRows * bytes, 0,
                     static_cast<size_t>(tiles * bytes));
    auto* scratch = static_cast<char*>(workers.scratch(thread));
    pack_rows(op, row, *reinterpret_cast<Group*>(scratch + errors),
              reinterpret_cast<float*>(scratch));
  };
  for_each(workers, static_cast<int>(items), item);
}

}  // namespace minicpm::ISA
