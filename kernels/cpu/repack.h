// What only moves numbers, on all threads: the same code for every instruction set, so that the
// bytes are the same.
#pragma once

#include "kernels/cpu/workers.h"
#include "kernels/quant_arrays.h"
#include "kernels/reorder.h"
#include "kernels/repack.h"
#include "kernels/ternary.h"

namespace minicpm {

void repack(const Repack& op, Workers& workers);
void repack_arrays(const RepackArrays& op, Workers& workers);
void pack_ternary(const PackTernary& op, Workers& workers);
void reorder(const ReorderColumns& op, Workers& workers);

}  // namespace minicpm
