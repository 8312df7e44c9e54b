// Kernels that the emulator and its checker are tested with. They are compiled as those of
// kernels/cuda/ are: with a call before every access.
#pragma once

#include <cstdint>

#if !defined(__CUDACC__)  // which would have __global__ here, too
namespace minicpm::test {

/// Each has one mistake. Made for one block of 64 threads, where a comment says nothing else; `out`
/// has 64 floats, which are zeros, and `in` 256.
namespace faulty {

void missing_barrier(float* out);
void missing_second_barrier(float* out, const float* in);  // the tile is overwritten too early
void missing_barrier_in_third_step(float* out);
void missing_syncwarp(float* out);
void syncwarp_between_warps(float* out);
void shuffle_taken_for_a_barrier(float* out);
void counter_read_without_barrier(float* out);
void plain_increment_beside_atomics(float* out);
void blocks_write_the_same(float* out);            // two blocks
void block_reads_what_another_writes(float* out);  // two blocks

void shared_overrun(float* out);
void dynamic_shared_overrun(float* out);  // with 256 bytes of dynamic shared memory
void global_write_overrun(float* out);
void global_read_overrun(float* out);
void freed_memory(float* out, const float* freed);
void host_memory(float* out, const float* host);
void other_threads_variable(float* out);
void end_of_stack(float* out);

void uninitialised_shared(float* out);
void uninitialised_global(float* out, const float* unwritten);
void shared_of_the_block_before(float* out);  // two blocks
void misaligned_double(float* out);
void misaligned_vector(float* out);

void copy_without_wait(float* out, const float* in);
void copy_without_barrier(float* out, const float* in);
void copy_over_what_is_read(float* out, const float* in);
void copy_never_waited_for(float* out, const float* in);
void copy_to_global(float* out, const float* in);
void copy_misaligned(float* out, const float* in);

void divergent_barrier(float* out);
void barrier_after_exit(float* out);
void shuffle_beside_vote(float* out);
void lane_not_in_mask(float* out);
void mask_names_exited(float* out);
void different_masks(float* out);
void endless_sleep(float* out);
void matrix_rows_in_global(float* out, const float* in);
void product_after_exit(float* out);

/// Reads a float of device memory as the host must not.
float read_from_host(const float* device);

}  // namespace faulty

/// These have none.
namespace correct {

void exchange_in_warp(float* out);
void block_sum(float* out, const float* in);         // out[0] = in[0] + ... + in[63]
void double_buffer(float* out, const float* in);     // out[t] = in[t] + in[64 + t] + ...
void copies_in_stages(float* out, const float* in);  // the same by cp.async
void copy_with_zeros(float* out, const float* in);   // out[t] = in[t], of 16 bytes the first 4
void atomic_counters(float* out);  // four blocks: out[0] = 256, out[1 + block] = 64
void other_atomics(float* out);
void votes(float* out);                           // out[0..] as votes_test says
void shuffles(float* out);                        // lane 5's: out[0..]
void lock_between_blocks(float* out, int* lock);  // out[0] += 1 by one thread of each block
void halves_of_warps(float* out);                 // 48 threads
void dynamic_shared(float* out);                  // 256 bytes: out[t] = 63 - t

/// One warp: d += a b for a [16][k] in rows, b in columns, as fragments from plain loads.
void product_f16(float* d, const uint16_t* a, const uint16_t* b);
void product_bf16(float* d, const uint16_t* a, const uint16_t* b);
void product_u8_s8(int32_t* d, const uint8_t* a, const int8_t* b);
void dots_u8_s8(int32_t* d, const uint32_t* a, const uint32_t* b);
/// One warp: the registers of every lane, [32][4] without and [32][4] with transposition, of the
/// four matrices [4][8][8].
void matrix_loads(uint32_t* out, const uint16_t* matrices);

}  // namespace correct

}  // namespace minicpm::test
#endif
