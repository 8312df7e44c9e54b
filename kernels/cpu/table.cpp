#include "kernels/cpu/table.h"

#ifdef AVXVNNI
#include <cpuid.h>
#endif

namespace minicpm::ISA {

namespace {

#if defined(AVXVNNI) && !defined(AVXVNNI_EVEX)
/// CPUID leaf 7.1, EAX bit 4.
bool has_avxvnni() {
  unsigned a, b, c, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || a < 1) return false;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1) != 0;
}
#elif defined(AVXVNNI)
bool has_avxvnni() {
  return __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}
#endif

bool supported() {
#if defined(__AVX512F__)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c") && __builtin_cpu_supports("bmi2");
#elif defined(__AVX2__)
#ifdef AVXVNNI
  if (!has_avxvnni()) return false;
#endif
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c") && __builtin_cpu_supports("bmi2");
#else
  return true;
#endif
}

#if defined(__AVX512F__)
constexpr const char* kName = "avx512";
#elif defined(AVXVNNI_EVEX)
constexpr const char* kName = "avxvnni_evex";
#elif defined(AVXVNNI)
constexpr const char* kName = "avxvnni";
#elif defined(__AVX2__)
constexpr const char* kName = "avx2";
#else
constexpr const char* kName = "baseline";
#endif

}  // namespace

const CpuKernels kernels = {
    .isa = kName,
    .supported = supported,
    .embed = embed,
    .rms_norm = rms_norm,
    .linear = linear,
    .linears = linears,
    .quantize_rows = quantize_rows,
    .pack = pack,
    .gram = gram,
    .feedback = feedback,
    .pack_feedback = pack_feedback,
    .refine = refine,
    .rope = rope,
    .kv_append = kv_append,
    .pool_keys = pool_keys,
    .score_blocks = score_blocks,
    .attention = attention,
    .silu_mul = silu_mul,
    .log_prob = log_prob,
};

}  // namespace minicpm::ISA
