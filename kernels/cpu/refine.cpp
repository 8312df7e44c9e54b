// Coordinate descent on packed weights, group by group: nearly all of the time goes to what the
// errors of all columns mean for those of the group.
#include "kernels/refine.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/row_lanes.h"
#include "kernels/cpu/table.h"
#include "kernels/pack_feedback.h"

namespace minicpm::ISA {

namespace {

/// A group of columns of some rows. Numbers that count as 0 are so here.
struct Group {
  LaneColumn x[kMostGroup], q[kMostGroup];
  LaneColumn slope[kMostGroup];    // of half the sum, along e: e H
  LaneColumn along[kMostGroup];    // q H, of this group's q
  LaneColumn changed[kMostGroup];  // what e has become more by
  LaneColumn scale;
  bool fixed[kLaneRows];
  int64_t first;
  int count;
};

struct Lanes {
  const Refine& op;
  const int64_t row;
  const PackedLanes y;
  LaneColumn* const errors;  // [columns]

  const float* hessian(int64_t column) const {
    return static_cast<const float*>(op.hessian.data) + column * op.y.columns;
  }

  void load(int64_t first, Group& group) const {
    const int64_t left = op.y.columns - first;
    group.first = first;
    group.count = static_cast<int>(left < op.y.group ? left : op.y.group);
    for (int lane = 0; lane < kLaneRows; lane++) {
      const float scale = lane < y.count ? f16_to_f32(y.scale(first / op.y.group, lane)) : 0;
      group.fixed[lane] = !(scale < 0 || scale > 0);
      group.scale[lane] = group.fixed[lane] ? 0 : scale;
      const bool counts = row + lane < op.x.rows && scale == scale;
      const auto* from = static_cast<const float*>(op.x.data) + (row + lane) * op.y.columns + first;
      for (int i = 0; i < group.count; i++) group.x[i][lane] = counts ? from[i] : 0;
    }
    for (int i = 0; i < group.count; i++) y.get(first + i, group.q[i]);
  }

  /// Sets the errors of the group's columns.
  void take_errors(const Group& group) const {
    for (int i = 0; i < group.count; i++) {
      for (int lane = 0; lane < kLaneRows; lane++) {
        errors[group.first + i][lane] = group.x[i][lane] - group.scale[lane] * group.q[i][lane];
      }
    }
  }

  void find_slopes(Group& group) const {
    const auto bytes = static_cast<size_t>(group.count) * sizeof(LaneColumn);
    __builtin_memset(group.slope, 0, bytes);
    __builtin_memset(group.along, 0, bytes);
    for (int i = 0; i < group.count; i += kFedColumns) {
      const float* from = hessian(group.first + i);
      feed<kFedColumns>(from, op.y.columns, errors, 0, op.y.columns, group.slope + i);
      feed<kFedColumns>(from + group.first, op.y.columns, group.q, 0, group.count, group.along + i);
    }
  }

  /// To the least of the sum, which is of degree 2 in the scale.
  void move_scale(Group& group) const {
    LaneColumn slope = {}, curve = {};
    for (int i = 0; i < group.count; i++) {
      for (int lane = 0; lane < kLaneRows; lane++) {
        slope[lane] += group.q[i][lane] * group.slope[i][lane];
        curve[lane] += group.q[i][lane] * group.along[i][lane];
      }
    }
    for (int lane = 0; lane < kLaneRows; lane++) {
      if (group.fixed[lane] || !(curve[lane] > 0)) continue;
      const uint16_t half = packed_scale(group.scale[lane] + slope[lane] / curve[lane]);
      const float moved = f16_to_f32(half) - group.scale[lane];
      const bool less = moved * (moved * curve[lane] - 2 * slope[lane]) < 0;
      if (!less || f16_to_f32(half) == 0) continue;
      group.scale[lane] = f16_to_f32(half);
      y.scale(group.first / op.y.group, lane) = half;
      for (int i = 0; i < group.count; i++) group.slope[i][lane] -= moved * group.along[i][lane];
    }
  }

  void move_column(Group& group, int i, const FeedbackLevels& levels) const {
    const float* from = hessian(group.first + i) + group.first;
    feed<1>(from, op.y.columns, group.changed, 0, i, group.slope + i);
    for (int lane = 0; lane < kLaneRows; lane++) {
      const float scale = group.scale[lane], q = group.q[i][lane];
      const float target = scale * q + group.slope[i][lane] / from[i];
      float near = group.fixed[lane] ? q : target / scale;
      near = near > levels.low ? near : levels.low;
      near = ((near < levels.high ? near : levels.high) + 0x1.8p23f) - 0x1.8p23f;
      group.changed[i][lane] = scale * (q - near);
      group.q[i][lane] = near;
    }
  }

  void pass(Group& group) const {
    const FeedbackLevels levels = feedback_levels(op.y.dtype);
    for (int64_t first = 0; first < op.y.columns; first += op.y.group) {
      load(first, group);
      find_slopes(group);
      move_scale(group);
      for (int i = 0; i < group.count; i++) {
        move_column(group, i, levels);
        y.put(first + i, group.q[i]);
      }
      take_errors(group);
    }
  }
};

}  // namespace

void refine(const Refine& op, Workers& workers) {
  const int64_t items = (op.x.rows + kLaneRows - 1) / kLaneRows;
  const auto errors = static_cast<size_t>(op.x.columns) * sizeof(LaneColumn);
  workers.reserve(errors + sizeof(Group), 0);
  auto item = [&](int i, int thread) {
    const int64_t row = i * int64_t{kLaneRows};
    auto* memory = static_cast<char*>(workers.scratch(thread));
    auto& group = *reinterpret_cast<Group*>(memory + errors);
    const Lanes lanes{op, row, PackedLanes(op.y, row), reinterpret_cast<LaneColumn*>(memory)};
    for (int64_t first = 0; first < op.y.columns; first += op.y.group) {
      lanes.load(first, group);
      lanes.take_errors(group);
    }
    for (int pass = 0; pass < op.passes; pass++) lanes.pass(group);
  };
  for_each(workers, static_cast<int>(items), item);
}

}  // namespace minicpm::ISA
