#include "kernels/refine.h"

#include "kernels/pack_feedback.h"
#include "kernels/packed.h"
#include "kernels/reference/ops.h"

namespace minicpm::reference {

namespace {

struct Row {
  const Refine& op;
  const int64_t row;
  std::vector<double> q, scale, e;  // of each column

  double h(int64_t i, int64_t j) const { return op.hessian.as<float>()[i * op.y.columns + j]; }

  void load() {
    const PackedRow packed(op.y, row);
    for (int64_t i = 0; i < op.y.columns; i++) {
      q.push_back(packed.q(i));
      scale.push_back(packed.scale(i));
      const double x = op.x.as<float>()[row * op.y.columns + i];
      e.push_back(std::isnan(scale.back()) ? 0 : x - scale.back() * q.back());
    }
  }

  double slope(int64_t i) const {
    double sum = 0;
    for (int64_t j = 0; j < op.y.columns; j++) sum += h(i, j) * e[static_cast<size_t>(j)];
    return sum;
  }

  void set_scale(int64_t first, int64_t last) {
    double slopes = 0, curve = 0;
    for (int64_t i = first; i < last; i++) {
      slopes += q[static_cast<size_t>(i)] * slope(i);
      for (int64_t j = first; j < last; j++) {
        curve += q[static_cast<size_t>(i)] * h(i, j) * q[static_cast<size_t>(j)];
      }
    }
    if (!(curve > 0)) return;
    const double before = scale[static_cast<size_t>(first)];
    const double after = f16_to_f32(packed_scale(static_cast<float>(before + slopes / curve)));
    const double moved = after - before;
    if (!(moved * (moved * curve - 2 * slopes) < 0) || after == 0) return;
    for (int64_t i = first; i < last; i++) {
      scale[static_cast<size_t>(i)] = after;
      e[static_cast<size_t>(i)] -= moved * q[static_cast<size_t>(i)];
    }
  }

  void set_q(int64_t i, const FeedbackLevels& levels) {
    const auto at = static_cast<size_t>(i);
    const double target = (scale[at] * q[at] + slope(i) / h(i, i)) / scale[at];
    const double near =
        std::nearbyint(std::fmin(std::fmax(target, double{levels.low}), double{levels.high}));
    e[at] += scale[at] * (q[at] - near);
    q[at] = near;
  }

  void store() const {
    const int bits = packed_bits(op.y.dtype);
    const int64_t lane = row % kPackedRows;
    auto* tile = op.y.as<unsigned char>() + row / kPackedRows * packed_tile_bytes(op.y);
    auto* integers = tile + packed_scale_bytes(op.y.columns, op.y.group);
    for (int64_t i = 0; i < op.y.columns; i++) {
      const uint16_t half = f32_to_f16(static_cast<float>(scale[static_cast<size_t>(i)]));
      std::memcpy(tile + 2 * (i / op.y.group * kPackedRows + lane), &half, sizeof half);
      const PackedPlace place = packed_place(bits, lane, i);
      unsigned char& byte =
          integers[i / kPackedColumns * packed_block_bytes(op.y.dtype) + place.byte];
      const int u = static_cast<int>(q[static_cast<size_t>(i)]) + packed_zero(op.y.dtype);
      const int mask = ((1 << bits) - 1) << place.shift;
      byte = static_cast<unsigned char>((byte & ~mask) | u << place.shift);
    }
  }
};

}  // namespace

void refine(const Refine& op) {
  const FeedbackLevels levels = feedback_levels(op.y.dtype);
  for (int64_t i = 0; i < op.x.rows; i++) {
    Row row{op, i};
    row.load();
    for (int pass = 0; pass < op.passes; pass++) {
      for (int64_t first = 0; first < op.y.columns; first += op.y.group) {
        const int64_t last = std::min(first + op.y.group, op.y.columns);
        const double scale = row.scale[static_cast<size_t>(first)];
        if (std::isnan(scale) || scale == 0) continue;
        row.set_scale(first, last);
        for (int64_t column = first; column < last; column++) row.set_q(column, levels);
      }
    }
    row.store();
  }
}

}  // namespace minicpm::reference
