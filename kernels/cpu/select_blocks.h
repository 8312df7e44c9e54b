// `select_blocks` on the CPU: no instruction set of its own.
#pragma once

#include "kernels/cpu/workers.h"
#include "kernels/select_blocks.h"

namespace minicpm {

/// Linear in the number of blocks: nothing is sorted.
void select_blocks(const SelectBlocks& op, Workers& workers);

}  // namespace minicpm
