// What the threads of a block or a warp do together. Each call waits until all that take part are
// there; the last to come does the work for all.
#pragma once

#include <cstddef>
#include <cstdint>

namespace minicpm::simt {

enum class Combine : uint8_t { nothing, all, any, count };

/// __syncthreads, and what it can combine of every thread's predicate.
int block_barrier(Combine combine, bool predicate);

/// __syncwarp.
void warp_barrier(uint32_t mask);

/// `value` (of `size` bytes) becomes the one of lane `source`; stays as it is where not `moves`.
void shuffle(uint32_t mask, void* value, size_t size, unsigned source, bool moves);

/// Bits of the lanes whose predicate holds; of those that have the same value.
uint32_t ballot(uint32_t mask, bool predicate);
uint32_t match(uint32_t mask, uint64_t value);

/// __nanosleep: the others get their turn, other blocks as well.
void sleep_thread();

/// cp.async of `bytes` (4, 8 or 16) to shared memory, all but the first `source_bytes` zeros.
void async_copy(void* to, const void* from, uint32_t bytes, uint32_t source_bytes);
void async_commit();
/// Until at most `keep` of the latest groups are on their way.
void async_wait(uint32_t keep);

/// One access of 16 bytes, aligned.
void load_16(void* to, const void* from);
void store_16(void* to, const void* from);

/// The old value of `size` bytes (4 or 8) goes to `old`, `change(context, old, new)` says the new.
void atomic_change(void* address, size_t size, void* old,
                   void (*change)(void* context, const void* old, void* changed), void* context);

/// Tensor cores, in the fragments of PTX's mma and ldmatrix: d += a b, sums in float in the order
/// of k. A device rounds its sums otherwise: compare with tolerances.
void multiply_f16(float* d, const uint32_t* a, const uint32_t* b);
void multiply_bf16(float* d, const uint32_t* a, const uint32_t* b);
void multiply_u8_s8(int32_t* d, const uint32_t* a, const uint32_t* b);
/// ldmatrix.x4: four matrices of 8 x 8 numbers of 16 bits; lane l has row l % 8 of matrix l / 8.
void load_matrix(uint32_t* registers, const void* row, bool transposed);

}  // namespace minicpm::simt
