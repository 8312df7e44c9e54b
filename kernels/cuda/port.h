// The only header about the machine that a kernel includes. nvcc sees CUDA and inline PTX, any
// other compiler the emulator (kernels/simt/); both offer the same names with the same meaning.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/error.h"
#include "kernels/half.h"

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#define SHARED(type, name, count) __shared__ type name[count]
#define DYNAMIC_SHARED(name) extern __shared__ __align__(128) unsigned char name[]
#define DEVICE __device__ __forceinline__
#define UNROLL _Pragma("unroll")
#else
#include "kernels/simt/builtins.h"
/// An array of the block's, of `count` elements; `__shared__` alone is unknown to the emulator.
#define SHARED(type, name, count) \
  type(&name)[count] = ::minicpm::simt::static_shared<type[count]>([] {})
/// The bytes that the launch asked for.
#define DYNAMIC_SHARED(name) \
  auto* const name =         \
      reinterpret_cast<unsigned char*>(::minicpm::simt::current->block->dynamic_shared)
#define DEVICE inline
/// The loop that follows becomes straight code, so that its arrays can be registers.
#define UNROLL
#endif

namespace minicpm::cuda {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = ~0u;

struct Launch {
  dim3 grid, block;
  size_t shared_bytes = 0;  // dynamic
  void* stream = nullptr;   // cudaStream_t
};

/// Starts `kernel`. Throws Error{kDevice} with CUDA's own words where the launch is refused.
template <typename... Parameters, typename... Arguments>
void launch(const Launch& shape, void (*kernel)(Parameters...), Arguments&&... arguments) {
#if defined(__CUDACC__)
  constexpr size_t kWithoutAsking = 48 << 10;
  cudaError_t error = cudaSuccess;
  if (shape.shared_bytes > kWithoutAsking) {
    error = cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                 cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(shape.shared_bytes));
  }
  if (error == cudaSuccess) {
    kernel<<<shape.grid, shape.block, shape.shared_bytes,
             static_cast<cudaStream_t>(shape.stream)>>>(static_cast<Parameters>(arguments)...);
    error = cudaGetLastError();
  }
  if (error != cudaSuccess) {
    throw Error(ErrorCode::kDevice,
                std::string("CUDA refused a launch: ") + cudaGetErrorString(error) + ".");
  }
#else
  simt::launch(shape.grid, shape.block, shape.shared_bytes, kernel,
               static_cast<Parameters>(arguments)...);
#endif
}

// ---- numbers ----

DEVICE float to_float(float x) {
  return x;
}
DEVICE float to_float(F16 x) {
#if defined(__CUDACC__)
  return __half2float(__ushort_as_half(x.bits));
#else
  return f16_to_f32(x.bits);
#endif
}
DEVICE float to_float(Bf16 x) {
#if defined(__CUDACC__)
  return __uint_as_float(static_cast<unsigned>(x.bits) << 16);
#else
  return bf16_to_f32(x.bits);
#endif
}

/// To nearest, ties to even.
template <typename T>
DEVICE T from_float(float x);
template <>
DEVICE float from_float<float>(float x) {
  return x;
}
template <>
DEVICE F16 from_float<F16>(float x) {
#if defined(__CUDACC__)
  return {__half_as_ushort(__float2half_rn(x))};
#else
  return {f32_to_f16(x)};
#endif
}

/// sum + the products of four unsigned bytes with four signed ones.
DEVICE int32_t dot_u8_s8(uint32_t a, uint32_t b, int32_t sum) {
#if defined(__CUDACC__)
  int32_t result;
  asm("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
#else
  for (int shift = 0; shift < 32; shift += 8) {
    sum += static_cast<int32_t>(a >> shift & 255) * static_cast<int8_t>(b >> shift);
  }
  return sum;
#endif
}

// ---- memory ----

/// 16 bytes that are loaded or stored at once, at a multiple of 16.
struct alignas(16) Vector {
  uint32_t words[4];
};

DEVICE Vector load_vector(const void* from) {
#if defined(__CUDACC__)
  const uint4 x = *static_cast<const uint4*>(from);
  return {{x.x, x.y, x.z, x.w}};
#else
  Vector x;
  simt::load_16(&x, from);
  return x;
#endif
}

DEVICE void store_vector(void* to, const Vector& x) {
#if defined(__CUDACC__)
  *static_cast<uint4*>(to) = make_uint4(x.words[0], x.words[1], x.words[2], x.words[3]);
#else
  simt::store_16(to, &x);
#endif
}

/// Copies 16 bytes to shared memory while the thread goes on; all but the first `source_bytes`
/// become zeros.
DEVICE void copy_async(void* shared, const void* from, uint32_t source_bytes = 16) {
#if defined(__CUDACC__)
  const auto to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from),
               "r"(source_bytes)
               : "memory");
#else
  simt::async_copy(shared, from, 16, source_bytes);
#endif
}

/// Closes the group of copies begun since the last one.
DEVICE void commit_copies() {
#if defined(__CUDACC__)
  asm volatile("cp.async.commit_group;" ::: "memory");
#else
  simt::async_commit();
#endif
}

/// Until at most `kKeep` of the thread's latest groups are on their way.
template <int kKeep>
DEVICE void wait_copies() {
#if defined(__CUDACC__)
  asm volatile("cp.async.wait_group %0;" ::"n"(kKeep) : "memory");
#else
  simt::async_wait(kKeep);
#endif
}

// ---- tensor cores ----

/// Four matrices of 8 x 8 numbers of 16 bits from shared memory; lane l gives the address of row
/// l % 8 of matrix l / 8.
DEVICE void load_matrices(uint32_t (&registers)[4], const void* row) {
#if defined(__CUDACC__)
  const auto from = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
               : "r"(from)
               : "memory");
#else
  simt::load_matrix(registers, row, false);
#endif
}

DEVICE void load_matrices_transposed(uint32_t (&registers)[4], const void* row) {
#if defined(__CUDACC__)
  const auto from = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
               : "r"(from)
               : "memory");
#else
  simt::load_matrix(registers, row, true);
#endif
}

/// d += a b: a 16 x 16 in rows, b 16 x 8 in columns, d 16 x 8 in float.
DEVICE void multiply_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#if defined(__CUDACC__)
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  simt::multiply_f16(d, a, b);
#endif
}

DEVICE void multiply_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#if defined(__CUDACC__)
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  simt::multiply_bf16(d, a, b);
#endif
}

/// d += a b in integers: a 16 x 32 unsigned bytes in rows, b 32 x 8 signed ones in columns.
DEVICE void multiply_u8_s8(int32_t (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#if defined(__CUDACC__)
  asm volatile(
      "mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  simt::multiply_u8_s8(d, a, b);
#endif
}

}  // namespace minicpm::cuda
