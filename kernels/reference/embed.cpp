#include "kernels/packed.h"
#include "kernels/reference/ops.h"

namespace minicpm::reference {

void embed(const Embed& op) {
  for (int64_t t = 0; t < op.y.rows; t++) {
    const int64_t row = op.tokens.as<int32_t>()[t];
    for (int64_t i = 0; i < op.y.columns; i++) {
      const float weight =
          is_packed(op.table.dtype)
              ? PackedRow(op.table, row).weight(i)
              : element(op.table.data, op.table.dtype, static_cast<size_t>(row * op.y.columns + i));
      op.y.as<float>()[t * op.y.columns + i] = weight * op.scale;
    }
  }
}

}  // namespace minicpm::reference
