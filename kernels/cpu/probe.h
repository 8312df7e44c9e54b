// The machine's limits, measured: how fast it reads memory, and the peaks of fused multiply-adds
// and of int8 products. Benches run it in turns with what they measure, so that both saw the same
// minute.
#pragma once

#include <cstddef>
#include <span>

#include "kernels/cpu/table.h"

namespace minicpm {

/// Memory is read in pieces of this many bytes, claimed by whichever worker is free.
constexpr size_t kProbePiece = size_t{1} << 18;

/// Writes numbers as weights have: pages that were never written are all the same zeros in a cache,
/// and pages of nearly nothing but zeros read up to a fifth faster on a virtual machine.
void fill_for_probe(std::span<std::byte> memory);

/// Bytes a second that the workers read, all together, in one pass over `memory`: 64-byte aligned,
/// filled, at least a piece long (what is over whole pieces is left out). Memory larger than the
/// caches gives the bandwidth of memory, a smaller one that of the cache it fits.
double read_bandwidth(std::span<std::byte> memory, Workers& workers);

/// Floating-point operations a second of the set's widest FMA, all workers together, in some
/// milliseconds.
double fma_peak(const CpuKernels& set, Workers& workers);

/// Multiplications and additions a second of int8 products by the set's fastest sequence: vpdpbusd
/// in 512 or 256 bits; vpmaddubsw and vpaddw in 256; pmaddwd and paddd in 128 (of int16: the
/// baseline has nothing for bytes).
double int8_peak(const CpuKernels& set, Workers& workers);

}  // namespace minicpm
