#include "kernels/cuda/port.h"
#include "test/simt/kernels.h"

namespace minicpm::test::correct {

using namespace minicpm::cuda;

__global__ void exchange_in_warp(float* out) {
  SHARED(float, tile, 64);
  for (int i = 0; i < 3; i++) {
    tile[threadIdx.x] = static_cast<float>(i);
    __syncwarp();
    out[threadIdx.x] = tile[threadIdx.x ^ 1];
    __syncwarp();
  }
}

__global__ void block_sum(float* out, const float* in) {
  SHARED(float, sums, 2);
  float sum = in[threadIdx.x];
  for (int bits = 16; bits > 0; bits /= 2) sum += __shfl_xor_sync(kAllLanes, sum, bits);
  if (threadIdx.x % kWarp == 0) sums[threadIdx.x / kWarp] = sum;
  __syncthreads();
  if (threadIdx.x == 0) out[0] = sums[0] + sums[1];
}

__global__ void double_buffer(float* out, const float* in) {
  SHARED(float, tile, 128);
  float sum = 0;
  for (int i = 0; i < 4; i++) {
    float* half = tile + i % 2 * 64;  // one barrier a step is enough for two halves
    half[63 - threadIdx.x] = in[i * 64 + threadIdx.x];
    __syncthreads();
    sum += half[63 - threadIdx.x];
    __syncwarp();
  }
  out[threadIdx.x] = sum;
}

__global__ void copies_in_stages(float* out, const float* in) {
  constexpr int kStages = 2, kSteps = 4;
  SHARED(float, tiles, kStages * 64);
  const auto begin = [&](int step) {
    if (step < kSteps && threadIdx.x < 16) {
      copy_async(tiles + step % kStages * 64 + threadIdx.x * 4, in + step * 64 + threadIdx.x * 4);
    }
    commit_copies();
  };
  begin(0);
  float sum = 0;
  for (int step = 0; step < kSteps; step++) {
    begin(step + 1);
    wait_copies<1>();
    __syncthreads();
    sum += tiles[step % kStages * 64 + threadIdx.x];
    __syncthreads();
  }
  wait_copies<0>();
  out[threadIdx.x] = sum;
}

__global__ void copy_with_zeros(float* out, const float* in) {
  SHARED(float, tile, 64);
  if (threadIdx.x < 16) copy_async(tile + threadIdx.x * 4, in + threadIdx.x * 4, 4);
  commit_copies();
  wait_copies<0>();
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x];
}

__global__ void atomic_counters(float* out) {
  SHARED(int, counter, 1);
  if (threadIdx.x == 0) counter[0] = 0;
  __syncthreads();
  atomicAdd(&counter[0], 1);
  atomicAdd(out, 1.0f);
  __syncthreads();
  if (threadIdx.x == 0) out[1 + blockIdx.x] = static_cast<float>(counter[0]);
}

__global__ void other_atomics(float* out) {
  SHARED(int, numbers, 5);
  const int t = static_cast<int>(threadIdx.x);
  if (t < 5) numbers[t] = t == 1 ? 100 : 0;
  __syncthreads();
  atomicMax(&numbers[0], t * 7 % 64);
  atomicMin(&numbers[1], t * 7 % 64 + 3);
  atomicOr(&numbers[2], 1 << t % 16);
  atomicCAS(&numbers[3], 0, 5);
  if (t == 0) atomicExch(&numbers[4], 9);
  __syncthreads();
  if (t < 5) out[t] = static_cast<float>(numbers[t]);
}

__global__ void votes(float* out) {
  const unsigned even = __ballot_sync(kAllLanes, threadIdx.x % 2 == 0);
  const unsigned alike = __match_any_sync(kAllLanes, threadIdx.x % 8);
  const int any = __any_sync(kAllLanes, threadIdx.x == 40);
  const int all = __all_sync(kAllLanes, threadIdx.x < 32);
  const int either = __syncthreads_or(threadIdx.x == 63);
  const int each = __syncthreads_and(threadIdx.x < 63);
  const int count = __syncthreads_count(threadIdx.x < 10);
  if (threadIdx.x != 37) return;
  out[0] = static_cast<float>(even & 0xffff);
  out[1] = static_cast<float>(alike & 0xffff);
  out[2] = static_cast<float>(any);
  out[3] = static_cast<float>(all);
  out[4] = static_cast<float>(either);
  out[5] = static_cast<float>(each);
  out[6] = static_cast<float>(count);
}

__global__ void shuffles(float* out) {
  const int lane = static_cast<int>(threadIdx.x % 32), number = 100 + lane;
  const int from = __shfl_sync(kAllLanes, number, 9);
  const int from_in_eights = __shfl_sync(kAllLanes, number, 9, 8);
  const int crossed = __shfl_xor_sync(kAllLanes, number, 6);
  const int up = __shfl_up_sync(kAllLanes, number, 3);
  const int up_in_fours = __shfl_up_sync(kAllLanes, number, 2, 4);
  const int down = __shfl_down_sync(kAllLanes, number, 3);
  const int down_in_eights = __shfl_down_sync(kAllLanes, number, 3, 8);
  const double wide = __shfl_xor_sync(kAllLanes, static_cast<double>(number), 1);
  if (threadIdx.x != 5) return;
  const int numbers[] = {from, from_in_eights, crossed, up, up_in_fours, down, down_in_eights};
  for (int i = 0; i < 7; i++) out[i] = static_cast<float>(numbers[i]);
  out[7] = static_cast<float>(wide);
}

__global__ void lock_between_blocks(float* out, int* lock) {
  if (threadIdx.x != 0) return;
  while (atomicCAS(lock, 0, 1) != 0) __nanosleep(20);
  atomicExch(out, atomicAdd(out, 0.0f) + 1);
  atomicExch(lock, 0);
}

__global__ void halves_of_warps(float* out) {
  const unsigned mask = threadIdx.x < 32 ? kAllLanes : 0xffffu;
  const int lane = __shfl_xor_sync(mask, static_cast<int>(threadIdx.x), 8);
  __syncthreads();
  out[threadIdx.x] = static_cast<float>(lane);
}

__global__ void dynamic_shared(float* out) {
  DYNAMIC_SHARED(bytes);
  auto* tile = reinterpret_cast<float*>(bytes);
  tile[threadIdx.x] = static_cast<float>(threadIdx.x);
  __syncthreads();
  out[threadIdx.x] = tile[63 - threadIdx.x];
}

// ---- tensor cores ----

namespace {

/// Accumulators start at 1, 2, 3 and 4, so that their places show.
template <typename Product>
DEVICE void product_16(float* d, const uint16_t* a, const uint16_t* b, Product product) {
  const unsigned row = threadIdx.x / 4, column = threadIdx.x % 4 * 2;
  const auto pair = [](const uint16_t* p) {
    return static_cast<uint32_t>(p[0]) | static_cast<uint32_t>(p[1]) << 16;
  };
  const uint32_t in_a[4] = {pair(a + row * 16 + column), pair(a + (row + 8) * 16 + column),
                            pair(a + row * 16 + column + 8), pair(a + (row + 8) * 16 + column + 8)};
  const uint32_t in_b[2] = {pair(b + row * 16 + column), pair(b + row * 16 + column + 8)};
  float sums[4] = {1, 2, 3, 4};
  product(sums, in_a, in_b);
  for (unsigned i = 0; i < 4; i++) d[(row + i / 2 * 8) * 8 + column + i % 2] = sums[i];
}

}  // namespace

__global__ void product_f16(float* d, const uint16_t* a, const uint16_t* b) {
  product_16(d, a, b, [](auto& sums, auto& in_a, auto& in_b) { multiply_f16(sums, in_a, in_b); });
}

__global__ void product_bf16(float* d, const uint16_t* a, const uint16_t* b) {
  product_16(d, a, b, [](auto& sums, auto& in_a, auto& in_b) { multiply_bf16(sums, in_a, in_b); });
}

__global__ void product_u8_s8(int32_t* d, const uint8_t* a, const int8_t* b) {
  const unsigned row = threadIdx.x / 4, column = threadIdx.x % 4;
  const auto four = [](const auto* p) {
    uint32_t word = 0;
    for (int i = 0; i < 4; i++) word |= static_cast<uint32_t>(static_cast<uint8_t>(p[i])) << 8 * i;
    return word;
  };
  const uint32_t in_a[4] = {four(a + row * 32 + column * 4), four(a + (row + 8) * 32 + column * 4),
                            four(a + row * 32 + column * 4 + 16),
                            four(a + (row + 8) * 32 + column * 4 + 16)};
  const uint32_t in_b[2] = {four(b + row * 32 + column * 4), four(b + row * 32 + column * 4 + 16)};
  int32_t sums[4] = {1, 2, 3, 4};
  multiply_u8_s8(sums, in_a, in_b);
  for (unsigned i = 0; i < 4; i++) d[(row + i / 2 * 8) * 8 + column * 2 + i % 2] = sums[i];
}

__global__ void dots_u8_s8(int32_t* d, const uint32_t* a, const uint32_t* b) {
  d[threadIdx.x] = dot_u8_s8(a[threadIdx.x], b[threadIdx.x], 5);
}

__global__ void matrix_loads(uint32_t* out, const uint16_t* matrices) {
  SHARED(Vector, rows, 32);
  rows[threadIdx.x] = load_vector(matrices + threadIdx.x * 8);
  __syncwarp();
  uint32_t plain[4], transposed[4];
  load_matrices(plain, &rows[threadIdx.x]);
  load_matrices_transposed(transposed, &rows[threadIdx.x]);
  for (int i = 0; i < 4; i++) {
    out[threadIdx.x * 4 + i] = plain[i];
    out[128 + threadIdx.x * 4 + i] = transposed[i];
  }
}

}  // namespace minicpm::test::correct
