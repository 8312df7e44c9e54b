#include "kernels/cpu/probe.h"

#include <immintrin.h>

#include <chrono>
#include <cstdint>
#include <string_view>

namespace minicpm {

namespace {

using Clock = std::chrono::steady_clock;

volatile uint64_t sink;  // keeps results alive

/// Four independent streams of loads within one piece.
uint64_t read_piece(const std::byte* piece) {
  __m128i sums[4] = {};
  for (size_t i = 0; i < kProbePiece; i += 64) {
    for (size_t j = 0; j < 4; j++) {
      const auto* at = reinterpret_cast<const __m128i*>(piece + i + 16 * j);
      sums[j] = _mm_xor_si128(sums[j], _mm_load_si128(at));
    }
  }
  const __m128i all =
      _mm_xor_si128(_mm_xor_si128(sums[0], sums[1]), _mm_xor_si128(sums[2], sums[3]));
  return static_cast<uint64_t>(_mm_cvtsi128_si64(all));
}

// Twelve chains of FMAs cover a latency of six cycles at two a cycle. The assembly keeps the
// compiler from merging them; the multiplier is 1, the addend 0, so the numbers stay as they are.
#define MINICPM_CHAINS(S) S(0) S(1) S(2) S(3) S(4) S(5) S(6) S(7) S(8) S(9) S(10) S(11)
constexpr int64_t kFmaSteps = 2'000'000;

__attribute__((target("avx2,fma"))) void fma_ymm() {
  const __m256 x = _mm256_set1_ps(1), y = _mm256_setzero_ps();
#define MINICPM_STEP(i) asm volatile("vfmadd213ps %2, %1, %0" : "+x"(r##i) : "x"(x), "x"(y));
  __m256 r0 = x, r1 = x, r2 = x, r3 = x, r4 = x, r5 = x, r6 = x, r7 = x, r8 = x, r9 = x, r10 = x,
         r11 = x;
  for (int64_t i = 0; i < kFmaSteps; i++) {
    MINICPM_CHAINS(MINICPM_STEP)
  }
#undef MINICPM_STEP
  sink = static_cast<uint64_t>(_mm256_cvtss_f32(r0) + _mm256_cvtss_f32(r11));
}

__attribute__((target("avx512f"))) void fma_zmm() {
  const __m512 x = _mm512_set1_ps(1), y = _mm512_setzero_ps();
#define MINICPM_STEP(i) asm volatile("vfmadd213ps %2, %1, %0" : "+v"(r##i) : "v"(x), "v"(y));
  __m512 r0 = x, r1 = x, r2 = x, r3 = x, r4 = x, r5 = x, r6 = x, r7 = x, r8 = x, r9 = x, r10 = x,
         r11 = x;
  for (int64_t i = 0; i < kFmaSteps; i++) {
    MINICPM_CHAINS(MINICPM_STEP)
  }
#undef MINICPM_STEP
  sink = static_cast<uint64_t>(_mm512_cvtss_f32(r0) + _mm512_cvtss_f32(r11));
}

/// Multiply and add apart, in 128 bits: what the baseline set has.
void multiply_add_xmm() {
  const __m128 x = _mm_set1_ps(1), y = _mm_setzero_ps();
#define MINICPM_STEP(i) asm volatile("mulps %1, %0\n addps %2, %0" : "+x"(r##i) : "x"(x), "x"(y));
  __m128 r0 = x, r1 = x, r2 = x, r3 = x, r4 = x, r5 = x, r6 = x, r7 = x, r8 = x, r9 = x, r10 = x,
         r11 = x;
  for (int64_t i = 0; i < kFmaSteps; i++) {
    MINICPM_CHAINS(MINICPM_STEP)
  }
#undef MINICPM_STEP
  sink = static_cast<uint64_t>(_mm_cvtss_f32(r0) + _mm_cvtss_f32(r11));
}

// The same with int8 products; zeros stay zeros. Products of the sequences that go by int16 are
// written to registers of their own, as in a kernel.
__attribute__((target("avx512f,avx512vnni"))) void int8_zmm() {
  const __m512i x = _mm512_setzero_si512();
#define MINICPM_STEP(i) asm volatile("vpdpbusd %1, %1, %0" : "+v"(r##i) : "v"(x));
  __m512i r0 = x, r1 = x, r2 = x, r3 = x, r4 = x, r5 = x, r6 = x, r7 = x, r8 = x, r9 = x, r10 = x,
          r11 = x;
  for (int64_t i = 0; i < kFmaSteps; i++) {
    MINICPM_CHAINS(MINICPM_STEP)
  }
#undef MINICPM_STEP
  sink = static_cast<uint64_t>(_mm_cvtsi128_si64(_mm512_castsi512_si128(r0)) +
                               _mm_cvtsi128_si64(_mm512_castsi512_si128(r11)));
}

#define MINICPM_DPBUSD_YMM(name)                                                            \
  __attribute__((target("avx2"))) void name() {                                             \
    const __m256i x = _mm256_setzero_si256();                                               \
    __m256i r0 = x, r1 = x, r2 = x, r3 = x, r4 = x, r5 = x, r6 = x, r7 = x, r8 = x, r9 = x, \
            r10 = x, r11 = x;                                                               \
    for (int64_t i = 0; i < kFmaSteps; i++) {                                               \
      MINICPM_CHAINS(MINICPM_STEP)                                                          \
    }                                                                                       \
  }
#define MINICPM_STEP(i) asm volatile("%{vex%} vpdpbusd %1, %1, %0" : "+x"(r##i) : "x"(x));
MINICPM_DPBUSD_YMM(int8_vex_ymm)
#undef MINICPM_STEP
#define MINICPM_STEP(i) asm volatile("%{evex%} vpdpbusd %1, %1, %0" : "+x"(r##i) : "x"(x));
MINICPM_DPBUSD_YMM(int8_evex_ymm)
#undef MINICPM_STEP

__attribute__((target("avx2"))) void int8_ymm() {
  const __m256i x = _mm256_setzero_si256();
#define MINICPM_STEP(i)                                                                        \
  {                                                                                            \
    __m256i p;                                                                                 \
    asm volatile("vpmaddubsw %2, %2, %1\n vpaddw %1, %0, %0" : "+x"(r##i), "=&x"(p) : "x"(x)); \
  }
  __m256i r0 = x, r1 = x, r2 = x, r3 = x, r4 = x, r5 = x, r6 = x, r7 = x, r8 = x, r9 = x, r10 = x,
          r11 = x;
  for (int64_t i = 0; i < kFmaSteps; i++) {
    MINICPM_CHAINS(MINICPM_STEP)
  }
#undef MINICPM_STEP
  sink = static_cast<uint64_t>(_mm_cvtsi128_si64(_mm256_castsi256_si128(r0)) +
                               _mm_cvtsi128_si64(_mm256_castsi256_si128(r11)));
}

void int16_xmm() {
  const __m128i x = _mm_setzero_si128();
#define MINICPM_STEP(i)                                                           \
  {                                                                               \
    __m128i p = x;                                                                \
    asm volatile("pmaddwd %2, %1\n paddd %1, %0" : "+x"(r##i), "+x"(p) : "x"(x)); \
  }
  __m128i r0 = x, r1 = x, r2 = x, r3 = x, r4 = x, r5 = x, r6 = x, r7 = x, r8 = x, r9 = x, r10 = x,
          r11 = x;
  for (int64_t i = 0; i < kFmaSteps; i++) {
    MINICPM_CHAINS(MINICPM_STEP)
  }
#undef MINICPM_STEP
  sink = static_cast<uint64_t>(_mm_cvtsi128_si64(r0) + _mm_cvtsi128_si64(r11));
}

double seconds_of(Workers& workers, int count, Workers::Item item, void* context) {
  const auto start = Clock::now();
  workers.run(count, item, context);
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Operations a second of a loop that does two for each of `lanes` numbers in each of its steps.
double peak_of(void (*loop)(), double lanes, Workers& workers) {
  const int items = 4 * workers.threads();
  const double seconds = seconds_of(
      workers, items, [](void* context, int, int) { reinterpret_cast<void (*)()>(context)(); },
      reinterpret_cast<void*>(loop));
  return items * static_cast<double>(kFmaSteps) * 12 * 2 * lanes / seconds;
}

}  // namespace

void fill_for_probe(std::span<std::byte> memory) {
  auto* words = reinterpret_cast<uint64_t*>(memory.data());
  for (size_t i = 0; i < memory.size() / 8; i++) words[i] = i * 0x9e3779b97f4a7c15;
}

double read_bandwidth(std::span<std::byte> memory, Workers& workers) {
  const auto pieces = static_cast<int>(memory.size() / kProbePiece);
  const double seconds = seconds_of(
      workers, pieces,
      [](void* data, int i, int) {
        sink = read_piece(static_cast<std::byte*>(data) + static_cast<size_t>(i) * kProbePiece);
      },
      memory.data());
  return pieces * static_cast<double>(kProbePiece) / seconds;
}

double fma_peak(const CpuKernels& set, Workers& workers) {
  const std::string_view isa = set.isa;
  if (isa == "avx512") return peak_of(fma_zmm, 16, workers);
  if (isa.starts_with("avx")) return peak_of(fma_ymm, 8, workers);
  return peak_of(multiply_add_xmm, 4, workers);
}

double int8_peak(const CpuKernels& set, Workers& workers) {
  const std::string_view isa = set.isa;
  if (isa == "avx512") return peak_of(int8_zmm, 64, workers);
  if (isa == "avxvnni") return peak_of(int8_vex_ymm, 32, workers);
  if (isa == "avxvnni_evex") return peak_of(int8_evex_ymm, 32, workers);
  if (isa == "avx2") return peak_of(int8_ymm, 32, workers);
  return peak_of(int16_xmm, 8, workers);
}

}  // namespace minicpm
