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
  const int64_t tile_bytes = packed_tile_bytes(op.y);
  std::vector<double> v(static_cast<size_t>(group)), errors(static_cast<size_t>(columns));
  std::memset(op.y.data, 0, op.y.bytes());
  for (int64_t row = 0; row < packed_tiles(op.y.rows) * kPackedRows; row++) {
    auto* tile = op.y.as<unsigned char>() + row / kPackedRows * tile_bytes;
    auto* integers = tile + packed_scale_bytes(columns, op.y.group);
    const int64_t lane = row % kPackedRows;
    for (int64_t first = 0; first < columns; first += group) {
      const int64_t count = std::min(group, columns - first);
      const auto x = [&](int64_t i) {
        return row < op.x.rows ? op.x.as<float>()[row * columns + first + i] : 0;
      };
      const auto fed = [&](int64_t i, int64_t until) {
        double sum = x(i);
        for (int64_t j = 0; j < until; j++) {
          sum += op.coefficients.as<float>()[(first + i) * columns + j] *
                 errors[static_cast<size_t>(j)];
        }
        return sum;
      };
      bool finite = true;
      for (int64_t i = 0; i < count; i++) finite = finite && std::isfinite(x(i));
      for (int64_t i = 0; i < count && finite; i++) v[static_cast<size_t>(i)] = fed(i, first);
      const uint16_t half =
          finite ? chosen_scale(levels, v.data(), op.importance.as<float>() + first, count)
                 : kPackedNan;
      std::memcpy(tile + 2 * (first / group * kPackedRows + lane), &half, sizeof half);
      const double scale = f16_to_f32(half);
      for (int64_t i = 0; i < count; i++) {
        const bool none = !finite || scale == 0;
        const double q = none ? 0 : rounded(levels, fed(i, first + i) / scale);
        errors[static_cast<size_t>(first + i)] = finite ? x(i) - scale * q : 0;
        const PackedPlace place = packed_place(bits, lane, first + i);
        integers[(first + i) / kPackedColumns * packed_block_bytes(format) + place.byte] |=
            static_cast<unsigned char>((static_cast<int>(q) + zero) << place.shift);
      }
    }
  }
}

}  // namespace minicpm::reference
