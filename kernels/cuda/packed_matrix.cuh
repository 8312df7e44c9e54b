// A packed matrix (kernels/packed.h) as kernels read it. Where its parts are is worked out by the
// launcher.
#pragma once

#include "kernels/cuda/port.h"
#include "kernels/packed.h"

namespace minicpm::cuda {

/// 32 columns of a row tile: lines of 64 bytes, each with some steps of 4 columns; the upper bits
/// of formats with planes lie in lines behind them.
template <DType kFormat>
struct PackedBlock {
  static constexpr int kBits = has_planes(kFormat) ? 4 : packed_bits(kFormat);
  static constexpr int kUpper = packed_bits(kFormat) - kBits;  // bits of a plane
  static constexpr int kStepsOfLine = 8 / kBits;
  static constexpr int kSteps = static_cast<int>(kPackedColumns / kPackedStep);
  static constexpr int kLines = kSteps / kStepsOfLine;
  static constexpr int kPlanes = kSteps * kUpper / 8;

  DEVICE static constexpr int line_of(int step) { return step / kStepsOfLine; }
  DEVICE static constexpr int plane_of(int step) { return kLines + step * kUpper / 8; }

  /// The numbers u of a row and step, a byte each, from its words of that line and plane.
  DEVICE static uint32_t four(uint32_t line, uint32_t plane, int step) {
    constexpr uint32_t kEach = 0x01010101;
    const uint32_t low = line >> step % kStepsOfLine * kBits & kEach * ((1 << kBits) - 1);
    if constexpr (kUpper == 0) return low;
    const int shift = step * kUpper % 8;
    return low | (plane >> shift & kEach * ((1 << kUpper) - 1)) << 4;
  }
};

constexpr int64_t kMostScaleBytes = 64 << 10;  // of a tile: 32,768 columns in groups of 32

struct PackedMatrix {
  const unsigned char* tiles;
  int64_t columns;
  int64_t tile_bytes;                   // of a row tile
  int64_t integers;                     // where in a row tile they start, in bytes
  int64_t minimum, step, minimum_step;  // the same, of the arrays beside the scales at its start
  int group;
  Scales scales;

  /// Of row `lane` of row tile `tile`.
  DEVICE float scale(int64_t tile, int64_t lane, int64_t column) const {
    if (!has_two_levels(scales)) return half_at(tile, 0, column / group, lane);
    return super_scale(tile, lane, column) * step_of(tile, lane, column);
  }

  /// With two levels: d, and what the group's d is multiplied with.
  DEVICE float super_scale(int64_t tile, int64_t lane, int64_t column) const {
    return half_at(tile, 0, column / kPackedSuper, lane);
  }
  DEVICE float step_of(int64_t tile, int64_t lane, int64_t column) const {
    return step_at(tile, step, column, lane);
  }

  /// What is subtracted; 0 where there is no minimum.
  DEVICE float minimum_of(int64_t tile, int64_t lane, int64_t column) const {
    switch (scales) {
      case Scales::minimum:
        return half_at(tile, minimum, column / group, lane);
      case Scales::zero_point:
        return scale(tile, lane, column) * step_of(tile, lane, column);
      case Scales::two_level_minimum:
        return half_at(tile, minimum, column / kPackedSuper, lane) *
               step_at(tile, minimum_step, column, lane);
      default:
        return 0;
    }
  }

 private:
  DEVICE float half_at(int64_t tile, int64_t array, int64_t entry, int64_t lane) const {
    const auto* halves = reinterpret_cast<const F16*>(tiles + tile * tile_bytes + array);
    return to_float(halves[entry * kPackedRows + lane]);
  }
  DEVICE float step_at(int64_t tile, int64_t array, int64_t column, int64_t lane) const {
    const auto* steps = reinterpret_cast<const int8_t*>(tiles + tile * tile_bytes + array);
    return static_cast<float>(steps[column / group * kPackedRows + lane]);
  }
};

/// Copies the tile's scales, and what stands beside them, to shared memory, by all threads of a
/// block of `kThreads`. Answers a matrix that has them as its only tile.
template <int kThreads>
DEVICE PackedMatrix with_scales_in(unsigned char* shared, const PackedMatrix& weight,
                                   const unsigned char* tile) {
  for (int64_t at = threadIdx.x * sizeof(Vector); at < weight.integers;
       at += kThreads * sizeof(Vector)) {
    store_vector(shared + at, load_vector(tile + at));
  }
  __syncthreads();
  PackedMatrix scales = weight;
  scales.tiles = shared;
  return scales;
}

/// Throws Error{kShape} where the scales of a tile do not fit into shared memory.
inline PackedMatrix packed_matrix(const Tensor& matrix) {
  const int64_t scale_bytes = packed_scale_bytes(matrix.columns, matrix.group, matrix.scales);
  expect("linear", scale_bytes <= kMostScaleBytes,
         "on CUDA a row of packed weights should have at most 4 KB of scales");
  const PackedScales parts =
      packed_scales(matrix.data, matrix.columns, matrix.group, matrix.scales);
  const auto offset = [&](const void* part) {
    return part ? static_cast<const char*>(part) - matrix.as<const char>() : 0;
  };
  return {matrix.as<const unsigned char>(),
          matrix.columns,
          packed_tile_bytes(matrix),
          scale_bytes,
          offset(parts.minimum),
          offset(parts.step),
          offset(parts.minimum_step),
          matrix.group,
          matrix.scales};
}

/// Calls `run` with the format as a constant.
template <typename Run>
void with_packed_format(DType format, Run run) {
  switch (format) {
    case DType::w8:
      return run.template operator()<DType::w8>();
    case DType::w6:
      return run.template operator()<DType::w6>();
    case DType::w5:
      return run.template operator()<DType::w5>();
    case DType::w4:
      return run.template operator()<DType::w4>();
    default:
      return run.template operator()<DType::w2>();
  }
}

}  // namespace minicpm::cuda
