// What rounding with feedback is tried on: inputs of a linear, their gram matrix and its split.
#pragma once

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "kernels/feedback.h"
#include "kernels/gram.h"
#include "kernels/pack_feedback.h"
#include "test/kernels/packed_arrays.h"

namespace minicpm::test {

/// Inputs of a linear that depend on each other, the first tokens of each window with large numbers
/// in a few columns: what attention sinks have.
inline Array inputs(int tokens, int columns, float outlier = 0, int window = 64) {
  Random random(3);
  Array x(tokens, columns), mixing(columns, columns);
  mixing.fill(random, -1, 1);
  for (int t = 0; t < tokens; t++) {
    std::vector<float> source(static_cast<size_t>(columns / 4));
    for (float& number : source) number = random.between(-1, 1);
    for (int i = 0; i < columns; i++) {
      float sum = random.between(-0.5f, 0.5f);
      for (int s = 0; s < columns / 4; s++) {
        sum += mixing.floats()[i * columns + s] * source[static_cast<size_t>(s)];
      }
      if (t % window < 4 && i % 16 == 5) sum += outlier * (i % 32 == 5 ? 1.0f : -1.0f);
      x.floats()[t * columns + i] = sum;
    }
  }
  return x;
}

/// The gram matrix of tokens, those at the first `skipped` positions of each window left out.
inline Array gram_of(Array& x, int skipped = 0, int window = 64) {
  const Tensor all = x.tensor();
  Array gram(all.columns, all.columns);
  for (int64_t first = 0; first < all.rows; first += window) {
    reference::gram({gram.tensor(), all.slice(first + skipped, window - skipped)});
  }
  return gram;
}

struct Split {
  /// @param order of the columns; empty: as they lie there
  explicit Split(Array& gram, int64_t columns, std::vector<int32_t> columns_in_order = {})
      : order(std::move(columns_in_order)), coefficients(columns, columns), importance(1, columns) {
    if (order.empty()) {
      order.resize(static_cast<size_t>(columns));
      std::iota(order.begin(), order.end(), 0);
    }
    for (int64_t i = 0; i < columns; i++) {
      for (int64_t j = 0; j <= i; j++) {
        const int64_t a = order[static_cast<size_t>(i)], b = order[static_cast<size_t>(j)];
        coefficients.floats()[i * columns + j] =
            gram.floats()[std::max(a, b) * columns + std::min(a, b)];
      }
    }
    std::vector<double> work(static_cast<size_t>(columns * columns));
    reference::feedback({coefficients.tensor(), importance.tensor(), 0.01f, work.data()});
  }
  PackFeedback op(PackedArray& y, Array& weights) {
    const auto columns = static_cast<int64_t>(order.size());
    return {y.tensor(),
            weights.tensor(),
            {order.data(), DType::i32, 1, columns},
            coefficients.tensor(),
            importance.tensor()};
  }

  std::vector<int32_t> order;
  Array coefficients, importance;
};

/// e G e^T over rows of errors e: what rounding changes of the linear's outputs, squared, on those
/// inputs.
inline double output_error(PackedArray& packed, Array& weights, Array& gram) {
  const Tensor w = weights.tensor();
  double sum = 0;
  for (int64_t row = 0; row < w.rows; row++) {
    const PackedRow found = packed.row(row);
    std::vector<double> e(static_cast<size_t>(w.columns));
    for (int64_t i = 0; i < w.columns; i++) {
      e[static_cast<size_t>(i)] = weights.floats()[row * w.columns + i] - found.weight(i);
    }
    for (int64_t i = 0; i < w.columns; i++) {
      for (int64_t j = 0; j <= i; j++) {
        sum += (i == j ? 1 : 2) * e[static_cast<size_t>(i)] * e[static_cast<size_t>(j)] *
               gram.floats()[i * w.columns + j];
      }
    }
  }
  return sum;
}

inline PackedArray with_feedback(DType format, int group, Array& weights, Array& gram) {
  PackedArray packed(format, group, weights.tensor().rows, weights.tensor().columns);
  reference::pack_feedback(Split(gram, weights.tensor().columns).op(packed, weights));
  return packed;
}

}  // namespace minicpm::test
