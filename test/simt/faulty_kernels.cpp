#include "kernels/cuda/port.h"
#include "test/simt/kernels.h"

namespace minicpm::test::faulty {

using namespace minicpm::cuda;

// ---- races ----

__global__ void missing_barrier(float* out) {
  SHARED(float, tile, 64);
  tile[threadIdx.x] = 1;
  out[threadIdx.x] = tile[63 - threadIdx.x];
}

__global__ void missing_second_barrier(float* out, const float* in) {
  SHARED(float, tile, 64);
  for (int i = 0; i < 2; i++) {
    tile[threadIdx.x] = in[i * 64 + threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = out[threadIdx.x] + tile[63 - threadIdx.x];
  }
}

__global__ void missing_barrier_in_third_step(float* out) {
  SHARED(float, tile, 64);
  for (int i = 0; i < 4; i++) {
    tile[threadIdx.x] = static_cast<float>(i);
    if (i != 2) __syncthreads();
    out[threadIdx.x] = tile[63 - threadIdx.x];
    __syncthreads();
  }
}

__global__ void missing_syncwarp(float* out) {
  SHARED(float, tile, 64);
  tile[threadIdx.x] = 1;
  out[threadIdx.x] = tile[threadIdx.x ^ 1];
}

__global__ void syncwarp_between_warps(float* out) {
  SHARED(float, tile, 64);
  tile[threadIdx.x] = 1;
  __syncwarp();
  out[threadIdx.x] = tile[threadIdx.x ^ 32];
}

__global__ void shuffle_taken_for_a_barrier(float* out) {
  SHARED(float, tile, 64);
  tile[threadIdx.x] = 1;
  const int lane = __shfl_xor_sync(kAllLanes, static_cast<int>(threadIdx.x), 1);
  out[threadIdx.x] = tile[lane];
}

__global__ void counter_read_without_barrier(float* out) {
  SHARED(int, counter, 1);
  if (threadIdx.x == 0) counter[0] = 0;
  __syncthreads();
  atomicAdd(&counter[0], 1);
  out[threadIdx.x] = static_cast<float>(counter[0]);
}

__global__ void plain_increment_beside_atomics(float* out) {
  if (threadIdx.x == 7) {
    out[0] = out[0] + 1;
  } else {
    atomicAdd(out, 1.0f);
  }
}

__global__ void blocks_write_the_same(float* out) {
  out[threadIdx.x] = static_cast<float>(blockIdx.x);
}

__global__ void block_reads_what_another_writes(float* out) {
  if (blockIdx.x == 0) out[threadIdx.x] = 1;
  if (blockIdx.x == 1 && out[threadIdx.x] > 2) __syncwarp();
}

// ---- places ----

__global__ void shared_overrun(float* out) {
  SHARED(float, tile, 64);
  tile[threadIdx.x + 1] = 1;
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x ? threadIdx.x : 1];
}

__global__ void dynamic_shared_overrun(float* out) {
  DYNAMIC_SHARED(bytes);
  auto* tile = reinterpret_cast<float*>(bytes);
  tile[threadIdx.x + 1] = 1;
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x ? threadIdx.x : 1];
}

__global__ void global_write_overrun(float* out) {
  out[threadIdx.x + 1] = 0;
}

__global__ void global_read_overrun(float* out) {
  const float next = out[threadIdx.x + 1];
  __syncthreads();
  out[threadIdx.x] = next;
}

__global__ void freed_memory(float* out, const float* freed) {
  out[threadIdx.x] = freed[threadIdx.x];
}

__global__ void host_memory(float* out, const float* host) {
  out[threadIdx.x] = host[0];
}

__global__ void other_threads_variable(float* out) {
  SHARED(float*, address, 1);
  float mine = 1;
  asm volatile("" ::"r"(&mine) : "memory");
  if (threadIdx.x == 0) address[0] = &mine;
  __syncthreads();
  out[threadIdx.x] = *address[0];
  __syncthreads();
}

__global__ void end_of_stack(float* out) {
  out[threadIdx.x] = 0;
  if (threadIdx.x == 3) *reinterpret_cast<volatile uint64_t*>(simt::current->stack) = 0;
}

// ---- contents and alignment ----

__global__ void uninitialised_shared(float* out) {
  SHARED(float, tile, 64);
  if (threadIdx.x != 5) tile[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x];
}

__global__ void uninitialised_global(float* out, const float* unwritten) {
  out[threadIdx.x] = unwritten[threadIdx.x];
}

__global__ void shared_of_the_block_before(float* out) {
  SHARED(float, tile, 64);
  if (blockIdx.x == 0) tile[threadIdx.x] = 1;
  if (blockIdx.x == 1) out[threadIdx.x] = tile[threadIdx.x];
}

__global__ void misaligned_double(float* out) {
  if (threadIdx.x == 0) *reinterpret_cast<double*>(out + 1) = 1;
}

__global__ void misaligned_vector(float* out) {
  if (threadIdx.x == 0) store_vector(out + 2, load_vector(out));
}

// ---- asynchronous copies ----

__global__ void copy_without_wait(float* out, const float* in) {
  SHARED(float, tile, 256);
  copy_async(tile + threadIdx.x * 4, in + threadIdx.x * 4);
  commit_copies();
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x * 4];
  wait_copies<0>();
}

__global__ void copy_without_barrier(float* out, const float* in) {
  SHARED(float, tile, 256);
  copy_async(tile + threadIdx.x * 4, in + threadIdx.x * 4);
  commit_copies();
  wait_copies<0>();
  out[threadIdx.x] = tile[threadIdx.x];
}

__global__ void copy_over_what_is_read(float* out, const float* in) {
  SHARED(float, tile, 256);
  for (int i = 0; i < 2; i++) {
    copy_async(tile + threadIdx.x * 4, in + threadIdx.x * 4);
    commit_copies();
    wait_copies<0>();
    __syncthreads();
    out[threadIdx.x] = tile[threadIdx.x];
  }
}

__global__ void copy_never_waited_for(float* out, const float* in) {
  SHARED(float, tile, 256);
  copy_async(tile + threadIdx.x * 4, in + threadIdx.x * 4);
  commit_copies();
  out[threadIdx.x] = 0;
}

__global__ void copy_to_global(float* out, const float* in) {
  if (threadIdx.x < 16) copy_async(out + threadIdx.x * 4, in + threadIdx.x * 4);
  commit_copies();
  wait_copies<0>();
}

__global__ void copy_misaligned(float* out, const float* in) {
  SHARED(float, tile, 256);
  copy_async(tile + threadIdx.x * 4, in + threadIdx.x * 3);
  commit_copies();
  wait_copies<0>();
  out[threadIdx.x] = tile[threadIdx.x * 4];
}

// ---- what threads do together ----

__global__ void divergent_barrier(float* out) {
  if (threadIdx.x == 0) {
    __syncthreads();
  } else {
    __syncwarp();
  }
  out[threadIdx.x] = 0;
}

__global__ void barrier_after_exit(float* out) {
  if (threadIdx.x >= 40) return;
  __syncthreads();
  out[threadIdx.x] = 0;
}

__global__ void shuffle_beside_vote(float* out) {
  int value = 0;
  if (threadIdx.x % 2) {
    value = __shfl_xor_sync(kAllLanes, 1, 2);
  } else {
    value = static_cast<int>(__ballot_sync(kAllLanes, 1));
  }
  out[threadIdx.x] = static_cast<float>(value);
}

__global__ void lane_not_in_mask(float* out) {
  out[threadIdx.x] = static_cast<float>(__shfl_sync(kAllLanes << 1, 1, 4));
}

__global__ void mask_names_exited(float* out) {
  if (threadIdx.x % 32 == 31) return;
  out[threadIdx.x] = static_cast<float>(__shfl_sync(kAllLanes, 1, 4));
}

__global__ void different_masks(float* out) {
  const bool low = threadIdx.x % 32 < 16;
  out[threadIdx.x] = static_cast<float>(__shfl_xor_sync(low ? 0xffffu : kAllLanes, 1, 1));
}

__global__ void endless_sleep(float* out) {
  while (atomicAdd(out, 0.0f) == 0) __nanosleep(20);
}

__global__ void matrix_rows_in_global(float* out, const float* in) {
  uint32_t registers[4];
  load_matrices(registers, in + threadIdx.x % 32 * 4);
  out[threadIdx.x] = static_cast<float>(registers[0]);
}

__global__ void product_after_exit(float* out) {
  if (threadIdx.x % 32 > 20) return;
  float d[4] = {};
  multiply_f16(d, {0, 0, 0, 0}, {0, 0});
  out[threadIdx.x] = d[0];
}

float read_from_host(const float* device) {
  return device[0];
}

}  // namespace minicpm::test::faulty
