#include "kernels/embed.h"

#include <string>

#include "kernels/error.h"
#include "kernels/packed.h"

namespace minicpm {

void Embed::check() const {
  expect("embed", "y", y, tokens.columns, table.columns, DType::f32);
  expect("embed", "tokens", tokens, 1, tokens.columns, DType::i32);
  if (is_packed(table.dtype)) {
    expect_packed("embed", "table", table);
  } else {
    expect("embed", size_of(table.dtype) > 0 && table.dtype != DType::i32,
           "table should be f32, f16, bf16 or packed");
    expect("embed", "table", table, table.rows, table.columns, table.dtype);
  }
}

void Embed::check_tokens() const {
  for (int64_t t = 0; t < tokens.columns; t++) {
    const int32_t token = tokens.as<int32_t>()[t];
    if (token < 0 || token >= table.rows) {
      throw Error(ErrorCode::kShape, "embed: tokens should be in [0, " +
                                         std::to_string(table.rows) + "), token " +
                                         std::to_string(t) + " is " + std::to_string(token));
    }
  }
}

}  // namespace minicpm
