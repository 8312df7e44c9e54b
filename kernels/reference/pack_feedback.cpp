#include "kernels/packed.h"
#include "kernels/reference/ops.h"

namespace minicpm::reference {

namespace {

double rounded(const FeedbackLevels& levels, double quotient) {
  return std::nearbyint(std::fmin(std::fmax(quotient, levels.low), levels.high));
}

uint16_t chosen_scale(const FeedbackLevels& levels, const double* v, const float* importance,
                      int64_t count) {
  double largest = 0;
  for (int64_t i = 0; i < count; i++) {
    if (std::fabs(v[i]) > std::fabs(largest)) largest = v[i];
  }
  double scale = std::fabs(largest) / levels.high, most = 0;
  for (int candidate = 0; candidate < levels.count && std::fabs(largest) > 1e-12; candidate++) {
    const double level = levels.first + levels.step * static_cast<float>(candidate);
    double vq = 0, qq = 0;
    for (int64_t i = 0; i < count; i++) {
      const double q = rounded(levels, v[i] * level / largest);
      vq += importance[i] * v[i] * q;
      qq += importance[i] * q * q;
    }
    if (qq > 0 && vq * vq / qq > most) most = vq * vq / qq, scale = vq / qq;
  }
  return packed_scale(static_cast<float>(scale));
}

}  // namespace

void pack_feedback(const PackFeedback& op) {
  const DType format = op.y.dtype;
  const FeedbackLevels levels = feedback_levels(format);
  const int64_t columns = op.y.columns, group = op.y.group;
  const int bits = packed_bits(format), zero = packed_zero(format);
  const auto* order = op.order.as<int32_t>();
  std::vector<float> importance(static_cast<size_t>(columns));  // of columns as they lie in x
  for (int64_t k = 0; k < columns; k++) {
    importance[static_cast<size_t>(order[k])] = op.importance.as<float>()[k];
  }
  std::vector<double> x(static_cast<size_t>(columns)), errors(static_cast<size_t>(columns));
  std::memset(op.y.data, 0, op.y.bytes());
  for (int64_t row = 0; row < packed_tiles(op.y.rows) * kPackedRows; row++) {
    auto* tile = op.y.as<unsigned char>() + row / kPackedRows * packed_tile_bytes(op.y);
    auto* integers = tile + packed_scale_bytes(columns, op.y.group);
    const int64_t lane = row % kPackedRows;
    const auto scale_of = [&](int64_t g) { return tile + 2 * (g * kPackedRows + lane); };
    for (int64_t first = 0; first < columns; first += group) {
      const int64_t count = std::min(group, columns - first);
      bool finite = true;
      for (int64_t i = first; i < first + count; i++) {
        const float number = row < op.x.rows ? op.x.as<float>()[row * columns + i] : 0;
        x[static_cast<size_t>(i)] = number;
        finite = finite && std::isfinite(number);
      }
      const uint16_t half =
          finite ? chosen_scale(levels, x.data() + first, importance.data() + first, count)
                 : kPackedNan;
      std::memcpy(scale_of(first / group), &half, sizeof half);
      if (!finite) std::fill_n(x.begin() + first, count, 0);
    }
    for (int64_t k = 0; k < columns; k++) {
      const int64_t column = order[k];
      double v = x[static_cast<size_t>(column)];
      for (int64_t j = 0; j < k; j++) {
        v += op.coefficients.as<float>()[k * columns + j] * errors[static_cast<size_t>(j)];
      }
      uint16_t half;
      std::memcpy(&half, scale_of(column / group), sizeof half);
      const double scale = half == kPackedNan ? 0 : f16_to_f32(half);
      const double q = scale == 0 ? 0 : rounded(levels, v / scale);
      errors[static_cast<size_t>(k)] = x[static_cast<size_t>(column)] - scale * q;
      const PackedPlace place = packed_place(bits, lane, column);
      integers[column / kPackedColumns * packed_block_bytes(format) + place.byte] |=
          static_cast<unsigned char>((static_cast<int>(q) + zero) << place.shift);
    }
  }
}

}  // namespace minicpm::reference
