// Rounding with feedback: nearly all of the time goes to feeding errors back.
#include "kernels/pack_feedback.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/row_lanes.h"
#include "kernels/cpu/table.h"

namespace minicpm::ISA {

namespace {

/// Scales of a group, 0 where q is 0.
struct GroupScales {
  LaneColumn scale, inverse;
  bool finite[kLaneRows];  // where a number is none, all numbers count as 0
};

/// Memory of a thread.
struct Scratch {
  LaneColumn group[kMostGroup];
  GroupScales* scales;  // [groups]
  LaneColumn* errors;   // [columns], in the order in which they are rounded
};

const float* number(const PackFeedback& op, int64_t row, int64_t column) {
  return static_cast<const float*>(op.x.data) + row * op.x.columns + column;
}

/// x of columns [first, first + count), zeros for rows that do not exist and for those with a
/// number that is none.
void load_group(const PackFeedback& op, int64_t row, int64_t first, int count, LaneColumn* x,
                bool* finite) {
  for (int lane = 0; lane < kLaneRows; lane++) {
    const bool exists = row + lane < op.x.rows;
    const float* from = number(op, row + lane, first);
    float none = 0;
    for (int i = 0; i < count && exists; i++) none += from[i] * 0;
    finite[lane] = none == 0;
    for (int i = 0; i < count; i++) x[i][lane] = exists && finite[lane] ? from[i] : 0;
  }
}

/// The scales of 16 rows by kernels/pack_feedback.h, before they are rounded.
f32x16 best_scales(const LaneColumn* group, int count, int lane, const FeedbackLevels& levels,
                   const float* importance) {
  const f32x16 zero = broadcast(0), tiny = broadcast(1e-12f);
  const f32x16 low = broadcast(levels.low), high = broadcast(levels.high);
  f32x16 above = zero, below = zero;
  for (int i = 0; i < count; i++) {
    const f32x16 x = load(group[i] + lane);
    above = max(x, above);
    below = max(zero - x, below);
  }
  const f32x16 magnitude = max(above, below);
  const f32x16 largest = select_less(above, below, zero - below, above);
  f32x16 best = magnitude / high, most = zero;
  for (int candidate = 0; candidate < levels.count; candidate++) {
    const float level = levels.first + levels.step * static_cast<float>(candidate);
    const f32x16 inverse = broadcast(level) / select_less(magnitude, tiny, broadcast(1), largest);
    f32x16 xq = zero, qq = zero;
    for (int i = 0; i < count; i++) {
      const f32x16 x = load(group[i] + lane), q = rounded(x * inverse, low, high);
      const f32x16 weighted = broadcast(importance[i]) * q;
      xq = xq + weighted * x;
      qq = qq + weighted * q;
    }
    const f32x16 none = select_less(zero, qq, zero, broadcast(1));
    const f32x16 scale = xq / (qq + none), explained = xq * scale;
    const f32x16 better = select_less(magnitude, tiny, zero, explained);
    best = select_less(most, better, scale, best);
    most = max(better, most);
  }
  return best;
}

/// @param importance of columns as they lie in x
void choose_scales(const PackFeedback& op, int64_t row, const float* importance,
                   const PackedLanes& y, Scratch& scratch) {
  const int64_t columns = op.y.columns, width = op.y.group;
  const FeedbackLevels levels = feedback_levels(op.y.dtype);
  for (int64_t first = 0; first < columns; first += width) {
    const int count = static_cast<int>(columns - first < width ? columns - first : width);
    GroupScales& chosen = scratch.scales[first / width];
    load_group(op, row, first, count, scratch.group, chosen.finite);
    for (int lane = 0; lane < kLaneRows; lane += kLanes) {
      store(chosen.scale + lane,
            best_scales(scratch.group, count, lane, levels, importance + first));
    }
    for (int lane = 0; lane < kLaneRows; lane++) {
      const uint16_t half = packed_scale(chosen.scale[lane]);
      if (lane < y.count) y.scale(first / width, lane) = chosen.finite[lane] ? half : kPackedNan;
      chosen.scale[lane] = f16_to_f32(half);
      chosen.inverse[lane] = chosen.scale[lane] == 0 ? 0 : 1 / chosen.scale[lane];
    }
  }
}

/// Rounds v of a column with number x; errors are what is left of it.
void round_column(const float* v, const float* x, const GroupScales& scales,
                  const FeedbackLevels& levels, float* q, float* errors) {
  for (int lane = 0; lane < kLaneRows; lane += kLanes) {
    const f32x16 near = rounded(load(v + lane) * load(scales.inverse + lane), broadcast(levels.low),
                                broadcast(levels.high));
    store(q + lane, near);
    store(errors + lane, load(x + lane) - load(scales.scale + lane) * near);
  }
}

/// Rows [row, row + kLaneRows).
void pack_rows(const PackFeedback& op, int64_t row, const float* importance, Scratch& scratch) {
  const int64_t columns = op.y.columns;
  const FeedbackLevels levels = feedback_levels(op.y.dtype);
  const auto* order = static_cast<const int32_t*>(op.order.data);
  const PackedLanes y(op.y, row);
  choose_scales(op, row, importance, y, scratch);
  for (int64_t first = 0; first < columns; first += kFedColumns) {
    const float* coefficients = static_cast<const float*>(op.coefficients.data) + first * columns;
    LaneColumn x[kFedColumns], v[kFedColumns];
    for (int i = 0; i < kFedColumns; i++) {
      const GroupScales& scales = scratch.scales[order[first + i] / op.y.group];
      for (int lane = 0; lane < kLaneRows; lane++) {
        const bool counts = row + lane < op.x.rows && scales.finite[lane];
        x[i][lane] = v[i][lane] = counts ? *number(op, row + lane, order[first + i]) : 0;
      }
    }
    feed<kFedColumns>(coefficients, columns, scratch.errors, 0, first, v);
    for (int i = 0; i < kFedColumns; i++) {
      LaneColumn q;
      feed<1>(coefficients + i * columns, columns, scratch.errors, first, first + i, v + i);
      round_column(v[i], x[i], scratch.scales[order[first + i] / op.y.group], levels, q,
                   scratch.errors[first + i]);
      y.put(order[first + i], q);
    }
  }
}

}  // namespace

void pack_feedback(const PackFeedback& op, Workers& workers) {
  const int64_t columns = op.x.columns, groups = packed_groups(columns, op.y.group);
  const int64_t items = (op.x.rows + kLaneRows - 1) / kLaneRows;
  const auto errors = static_cast<size_t>(columns) * sizeof(LaneColumn);
  const auto scales = static_cast<size_t>(groups) * sizeof(GroupScales);
  workers.reserve(errors + scales + sizeof(Scratch), static_cast<size_t>(columns) * sizeof(float));
  auto* importance = static_cast<float*>(workers.shared_scratch());
  for (int64_t k = 0; k < columns; k++) {
    importance[static_cast<const int32_t*>(op.order.data)[k]] =
        static_cast<const float*>(op.importance.data)[k];
  }
  auto item = [&](int i, int thread) {
    const int64_t row = i * int64_t{kLaneRows}, bytes = packed_tile_bytes(op.y);
    const int64_t left = op.x.rows - row, tiles = packed_tiles(left < kLaneRows ? left : kLaneRows);
    __builtin_memset(static_cast<unsigned char*>(op.y.data) + row / kPackedRows * bytes, 0,
                     static_cast<size_t>(tiles * bytes));
    auto* memory = static_cast<char*>(workers.scratch(thread));
    auto& scratch = *reinterpret_cast<Scratch*>(memory + errors + scales);
    scratch.errors = reinterpret_cast<LaneColumn*>(memory);
    scratch.scales = reinterpret_cast<GroupScales*>(memory + errors);
    pack_rows(op, row, importance, scratch);
  };
  for_each(workers, static_cast<int>(items), item);
}

}  // namespace minicpm::ISA
