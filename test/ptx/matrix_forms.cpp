// Tensor cores: matrices from shared memory, and their products. Which lane holds which element is
// from the tables of the PTX ISA.
#include <algorithm>
#include <cstring>

#include "test/ptx/block.h"
#include "test/ptx/lanes.h"

namespace minicpm::ptx {

namespace {

/// `kCount` matrices of 8 x 8 numbers of 16 bits; lane l gives the address of row l % 8 of matrix
/// l / 8.
template <unsigned kCount, bool kTransposed>
Outcome load_matrices(Warp& warp, const Instruction& instruction, uint32_t active) {
  if (!warp.together(active, kAllLanes)) return Outcome::waits;
  if (active != kAllLanes) warp.fault("lanes have ended that it needs");
  const Operand &to = instruction.operands[0], &from = instruction.operands[1];
  uint64_t addresses[kLanes];
  for_lanes(kAllLanes, [&](unsigned lane) {
    addresses[lane] = warp.row(from.row)[lane] + static_cast<uint64_t>(from.offset);
  });
  for (unsigned matrix = 0; matrix < kCount; matrix++) {
    if (counting) count_shared(addresses, 0xffu << matrix * 8, 16);
    uint16_t rows[8][8];
    for (unsigned r = 0; r < 8; r++) {
      std::memcpy(
          rows[r],
          warp.block().reach(warp, Space::shared, addresses[matrix * 8 + r], 16, Access::read), 16);
    }
    const Operand& piece = to.kind == Operand::Kind::list ? to.list[matrix] : to;
    for_lanes(kAllLanes, [&](unsigned lane) {
      const unsigned r = lane / 4, c = lane % 4 * 2;
      const uint32_t low = kTransposed ? rows[c][r] : rows[r][c];
      const uint32_t high = kTransposed ? rows[c + 1][r] : rows[r][c + 1];
      warp.row(piece.row)[lane] = low | high << 16;
    });
  }
  return Outcome::done;
}

/// d = a b + c: a 16 x k in rows, b k x 8 in columns, d 16 x 8, of numbers that stand `kPacked` in
/// a register, so that k is 8 kPacked. Sums are exact in double, then rounded once.
template <typename Number, typename Sum, unsigned kPacked, typename WidenA, typename WidenB>
Outcome multiply(Warp& warp, const Instruction& instruction, uint32_t active) {
  if (!warp.together(active, kAllLanes)) return Outcome::waits;
  if (active != kAllLanes) warp.fault("lanes have ended that it needs");
  constexpr unsigned kDepth = 8 * kPacked, kBits = 32 / kPacked;
  const auto& operands = instruction.operands;  // d, a, b, c
  const auto element = [&](const Operand& matrix, unsigned index, unsigned lane, unsigned part) {
    return static_cast<Number>(warp.row(matrix.list[index].row)[lane] >> kBits * part);
  };
  double a[16][kDepth], b[kDepth][8];
  for (unsigned lane = 0; lane < kLanes; lane++) {
    const unsigned row = lane / 4;
    for (unsigned part = 0; part < kPacked; part++) {
      const unsigned k = lane % 4 * kPacked + part;
      for (unsigned i = 0; i < 4; i++) {
        a[row + i % 2 * 8][k + i / 2 * 4 * kPacked] = WidenA{}(element(operands[1], i, lane, part));
      }
      for (unsigned i = 0; i < 2; i++) {
        b[k + i * 4 * kPacked][row] = WidenB{}(element(operands[2], i, lane, part));
      }
    }
  }
  uint64_t sums[4][kLanes];
  for (unsigned lane = 0; lane < kLanes; lane++) {
    for (unsigned i = 0; i < 4; i++) {
      const unsigned row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
      auto sum = static_cast<double>(number_of<Sum>(warp.row(operands[3].list[i].row)[lane]));
      for (unsigned k = 0; k < kDepth; k++) sum += a[row][k] * b[k][column];
      if constexpr (std::is_integral_v<Sum>) {
        sums[i][lane] = static_cast<uint64_t>(static_cast<int64_t>(sum)) & 0xffffffff;
      } else {
        sums[i][lane] = bits_of_number(static_cast<Sum>(sum));
      }
    }
  }
  for (unsigned i = 0; i < 4; i++) {
    std::copy_n(sums[i], kLanes, warp.row(operands[0].list[i].row));
  }
  return Outcome::done;
}

template <unsigned kCount>
void add_loads(Forms& forms) {
  const std::string name = "ldmatrix.sync.aligned.m8n8.x" + std::to_string(kCount);
  Form plain{name + ".shared.b16", "vm", load_matrices<kCount, false>};
  Form transposed{name + ".trans.shared.b16", "vm", load_matrices<kCount, true>};
  plain.count = transposed.count = kCount;
  plain.bytes = transposed.bytes = 2;
  forms.add(plain);
  forms.add(transposed);
}

}  // namespace

void add_matrix_forms(Forms& forms) {
  add_loads<1>(forms);
  add_loads<2>(forms);
  add_loads<4>(forms);
  const auto f16 = [](uint16_t x) { return static_cast<double>(f16_to_f32(x)); };
  const auto bf16 = [](uint16_t x) { return static_cast<double>(bf16_to_f32(x)); };
  const auto u8 = [](uint8_t x) { return static_cast<double>(x); };
  const auto s8 = [](uint8_t x) { return static_cast<double>(static_cast<int8_t>(x)); };
  forms.add({"mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", "4424",
             multiply<uint16_t, float, 2, decltype(f16), decltype(f16)>});
  forms.add({"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", "4424",
             multiply<uint16_t, float, 2, decltype(bf16), decltype(bf16)>});
  forms.add({"mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32", "4424",
             multiply<uint8_t, int32_t, 4, decltype(u8), decltype(s8)>});
}

}  // namespace minicpm::ptx
