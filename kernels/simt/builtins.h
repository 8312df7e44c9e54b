// CUDA's names for device code, on the emulator: what kernels use of the language, no more.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/simt/machine.h"
#include "kernels/simt/warp.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)

#define threadIdx (::minicpm::simt::current->index)
#define blockIdx (::minicpm::simt::current->block->index)
#define blockDim (::minicpm::simt::current->block->size)
#define gridDim (::minicpm::simt::current->block->grid)

__forceinline__ void __syncthreads() {
  minicpm::simt::block_barrier(minicpm::simt::Combine::nothing, false);
}
__forceinline__ int __syncthreads_and(int predicate) {
  return minicpm::simt::block_barrier(minicpm::simt::Combine::all, predicate != 0);
}
__forceinline__ int __syncthreads_or(int predicate) {
  return minicpm::simt::block_barrier(minicpm::simt::Combine::any, predicate != 0);
}
__forceinline__ int __syncthreads_count(int predicate) {
  return minicpm::simt::block_barrier(minicpm::simt::Combine::count, predicate != 0);
}
__forceinline__ void __syncwarp(unsigned mask = minicpm::simt::kWholeWarp) {
  minicpm::simt::warp_barrier(mask);
}
__forceinline__ void __nanosleep(unsigned) {
  minicpm::simt::sleep_thread();
}

// Shuffles: within groups of `width` lanes, a power of two; beyond the group a lane keeps its own.
template <typename T>
__forceinline__ T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  const unsigned lane = minicpm::simt::current->lane, within = static_cast<unsigned>(width - 1);
  const unsigned from = (lane & ~within) | (static_cast<unsigned>(source) & within);
  minicpm::simt::shuffle(mask, &value, sizeof value, from, true);
  return value;
}
template <typename T>
__forceinline__ T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32) {
  const unsigned lane = minicpm::simt::current->lane, within = static_cast<unsigned>(width - 1);
  const unsigned from = lane ^ static_cast<unsigned>(bits);
  minicpm::simt::shuffle(mask, &value, sizeof value, from & 31, from <= (lane | within));
  return value;
}
template <typename T>
__forceinline__ T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = 32) {
  const unsigned lane = minicpm::simt::current->lane, within = static_cast<unsigned>(width - 1);
  const bool inside = (lane & within) >= distance;
  minicpm::simt::shuffle(mask, &value, sizeof value, (lane - distance) & 31, inside);
  return value;
}
template <typename T>
__forceinline__ T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = 32) {
  const unsigned lane = minicpm::simt::current->lane, within = static_cast<unsigned>(width - 1);
  const bool inside = (lane & within) + distance <= within;
  minicpm::simt::shuffle(mask, &value, sizeof value, (lane + distance) & 31, inside);
  return value;
}
__forceinline__ unsigned __ballot_sync(unsigned mask, int predicate) {
  return minicpm::simt::ballot(mask, predicate != 0);
}
__forceinline__ int __any_sync(unsigned mask, int predicate) {
  return __ballot_sync(mask, predicate) != 0;
}
__forceinline__ int __all_sync(unsigned mask, int predicate) {
  return __ballot_sync(mask, predicate) == mask;
}
template <typename T>
__forceinline__ unsigned __match_any_sync(unsigned mask, T value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return minicpm::simt::match(mask, bits);
}

namespace minicpm::simt {

/// Changes *address to change(its value) in one step; returns what it was.
template <typename T, typename Change>
__forceinline__ T atomically(T* address, Change change) {
  T old;
  const auto call = [](void* context, const void* given, void* changed) {
    T value;
    std::memcpy(&value, given, sizeof value);
    value = (*static_cast<Change*>(context))(value);
    std::memcpy(changed, &value, sizeof value);
  };
  atomic_change(address, sizeof(T), &old, call, &change);
  return old;
}

}  // namespace minicpm::simt

template <typename T>
__forceinline__ T atomicAdd(T* address, std::type_identity_t<T> value) {
  return minicpm::simt::atomically(address, [=](T old) { return static_cast<T>(old + value); });
}
template <typename T>
__forceinline__ T atomicMax(T* address, std::type_identity_t<T> value) {
  return minicpm::simt::atomically(address, [=](T old) { return old < value ? value : old; });
}
template <typename T>
__forceinline__ T atomicMin(T* address, std::type_identity_t<T> value) {
  return minicpm::simt::atomically(address, [=](T old) { return value < old ? value : old; });
}
template <typename T>
__forceinline__ T atomicOr(T* address, std::type_identity_t<T> value) {
  return minicpm::simt::atomically(address, [=](T old) { return old | value; });
}
template <typename T>
__forceinline__ T atomicExch(T* address, std::type_identity_t<T> value) {
  return minicpm::simt::atomically(address, [=](T) { return value; });
}
template <typename T>
__forceinline__ T atomicCAS(T* address, std::type_identity_t<T> expected,
                            std::type_identity_t<T> value) {
  return minicpm::simt::atomically(address, [=](T old) { return old == expected ? value : old; });
}
