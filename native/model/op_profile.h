// Time and bytes of the forward pass by kind of op, for benches: off unless asked, and then one
// look at the clock before and after each op.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string_view>
#include <vector>

#include "native/backend/backend.h"

namespace minicpm {

enum class OpKind {
  embed,
  rms_norm,
  linear,
  quantize_rows,
  rope,
  kv_append,
  pool_keys,
  score_blocks,
  select_blocks,
  attention,
  silu_mul,
};
constexpr int kOpKinds = 11;

std::string_view name_of(OpKind kind);

/// Bytes of weights, keys, values and pooled keys that an op reads, each as often as the op goes
/// through it: attention reads a selected block once for up to 8 neighbouring rows and a KV head.
/// Activations are not counted: they stay in the caches. Masks are read on the host.
int64_t bytes_read(const Linears& op);
int64_t bytes_read(const Attention& op);
int64_t bytes_read(const ScoreBlocks& op);
template <typename Op>
int64_t bytes_read(const Op&) {
  return 0;
}

/// Counts are added on the engine thread and may be read on another.
class OpProfile {
 public:
  struct Count {
    int64_t calls = 0;
    int64_t nanoseconds = 0;
    int64_t bytes = 0;
  };

  /// Counts from 0 on.
  void start();
  void stop() { on_.store(false, std::memory_order_relaxed); }
  std::array<Count, kOpKinds> counts() const;

  template <typename Op>
  void run(Backend& backend, const Op& op) {
    if (!on_.load(std::memory_order_relaxed)) return backend.run(op);
    Memory& memory = backend.memory();
    memory.synchronize();
    const auto begin = std::chrono::steady_clock::now();
    backend.run(op);
    memory.synchronize();
    const auto time = std::chrono::steady_clock::now() - begin;
    add(kind_of(op), time, bytes_read(on_host(op, memory)));
  }

 private:
  struct Sum {
    std::atomic<int64_t> calls{0}, nanoseconds{0}, bytes{0};
  };

  static constexpr OpKind kind_of(const Embed&) { return OpKind::embed; }
  static constexpr OpKind kind_of(const RmsNorm&) { return OpKind::rms_norm; }
  static constexpr OpKind kind_of(const Linears&) { return OpKind::linear; }
  static constexpr OpKind kind_of(const QuantizeRows&) { return OpKind::quantize_rows; }
  static constexpr OpKind kind_of(const ReorderColumns&) { return OpKind::quantize_rows; }
  static constexpr OpKind kind_of(const Rope&) { return OpKind::rope; }
  static constexpr OpKind kind_of(const KvAppend&) { return OpKind::kv_append; }
  static constexpr OpKind kind_of(const PoolKeys&) { return OpKind::pool_keys; }
  static constexpr OpKind kind_of(const ScoreBlocks&) { return OpKind::score_blocks; }
  static constexpr OpKind kind_of(const SelectBlocks&) { return OpKind::select_blocks; }
  static constexpr OpKind kind_of(const Attention&) { return OpKind::attention; }
  static constexpr OpKind kind_of(const SiluMul&) { return OpKind::silu_mul; }

  template <typename Op>
  const Op& on_host(const Op& op, Memory&) {
    return op;
  }
  /// With its masks in memory of the host's.
  Attention on_host(const Attention& op, Memory& memory);

  void add(OpKind kind, std::chrono::steady_clock::duration time, int64_t bytes);

  std::atomic<bool> on_{false};
  std::array<Sum, kOpKinds> sums_;
  std::vector<uint64_t> masks_;
};

}  // namespace minicpm
