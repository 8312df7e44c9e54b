#include "test/native/guarded_backend.h"

#include <sys/mman.h>

#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "kernels/error.h"

namespace minicpm::test {
namespace {

constexpr size_t kRegionBytes = size_t{1} << 30;
constexpr size_t kAlignment = 256;

[[noreturn]] void misuse(const std::string& what) {
  throw Error(ErrorCode::kState, "The guarded backend is misused: " + what + ".");
}

class GuardedMemory final : public Memory {
 public:
  GuardedMemory() {
    void* region =
        mmap(nullptr, kRegionBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (region == MAP_FAILED) throw std::bad_alloc();
    region_ = static_cast<std::byte*>(region);
  }
  ~GuardedMemory() override { munmap(region_, kRegionBytes); }

  bool is_host() const override { return false; }

  std::byte* allocate(size_t bytes) override {
    const std::lock_guard lock(mutex_);
    const size_t room = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    std::byte* data = nullptr;
    if (const auto found = freed_.find(room); found != freed_.end()) {
      data = found->second;
      freed_.erase(found);
    } else {
      if (room > kRegionBytes - top_) {
        throw Error(ErrorCode::kOutOfMemory, "The guarded memory is used up.", {"0", "0", ""});
      }
      data = region_ + top_;
      top_ += room;
    }
    in_use_ += room;
    accessible([&] { std::memset(data, 0, bytes); });
    return data;
  }

  void free(std::byte* data, size_t bytes) noexcept override {
    const std::lock_guard lock(mutex_);
    const size_t room = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    accessible([&] { std::memset(data, 0xff, bytes); });
    freed_.emplace(room, data);
    in_use_ -= room;
  }

  int64_t free_bytes() override {
    const std::lock_guard lock(mutex_);
    return static_cast<int64_t>(kRegionBytes - in_use_);
  }

  void upload(void* to, const void* from, size_t bytes) override {
    const std::lock_guard lock(mutex_);
    expect_inside(to, bytes);
    expect_outside(from);
    accessible([&] { std::memcpy(to, from, bytes); });
  }

  void download(void* to, const void* from, size_t bytes) override {
    const std::lock_guard lock(mutex_);
    expect_inside(from, bytes);
    expect_outside(to);
    std::vector<std::byte> copy(bytes);
    accessible([&] { std::memcpy(copy.data(), from, bytes); });
    later([to, copy = std::move(copy)] { std::memcpy(to, copy.data(), copy.size()); });
  }

  void copy(void* to, const void* from, size_t bytes) override {
    const std::lock_guard lock(mutex_);
    expect_inside(to, bytes);
    expect_inside(from, bytes);
    accessible([&] { std::memcpy(to, from, bytes); });
  }

  void zero(void* to, const Pieces& pieces) override {
    const std::lock_guard lock(mutex_);
    expect_inside(to, pieces.bytes + (pieces.count - 1) * pieces.pitch);
    accessible([&] { host_memory().zero(to, pieces); });
  }

  void synchronize() override {
    const std::lock_guard lock(mutex_);
    for (const auto& result : results_) result();
    results_.clear();
  }

  /// Runs `op` with access; what it returns, a function, is called when the backend is waited for.
  template <typename Op>
  void run(Op op) {
    const std::lock_guard lock(mutex_);
    accessible([&] { op(); });
  }
  void later(std::function<void()> result) { results_.push_back(std::move(result)); }

 private:
  template <typename Action>
  void accessible(Action action) {
    protect(PROT_READ | PROT_WRITE);
    struct Closing {
      GuardedMemory& memory;
      ~Closing() { memory.protect(PROT_NONE); }
    } closing{*this};
    action();
  }

  void protect(int access) {
    if (mprotect(region_, (top_ + 4095) & ~size_t{4095}, access) != 0) std::abort();
  }

  void expect_inside(const void* data, size_t bytes) const {
    const auto offset = static_cast<size_t>(static_cast<const std::byte*>(data) - region_);
    if (offset > kRegionBytes || bytes > kRegionBytes - offset) misuse("an address is the host's");
  }
  void expect_outside(const void* data) const {
    const auto offset = static_cast<size_t>(static_cast<const std::byte*>(data) - region_);
    if (offset < kRegionBytes) misuse("an address is the device's");
  }

  std::mutex mutex_;
  std::byte* region_;
  size_t top_ = 0, in_use_ = 0;
  std::multimap<size_t, std::byte*> freed_;
  std::vector<std::function<void()>> results_;
};

class GuardedBackend final : public Backend {
 public:
  explicit GuardedBackend(std::unique_ptr<Backend> inner) : inner_(std::move(inner)) {}

  std::string_view name() const override { return "guarded"; }
  std::string_view isa() const override { return inner_->isa(); }
  int threads() const override { return inner_->threads(); }
  Memory& memory() override { return memory_; }

  void begin(const Step& step) override {
    for (const Segment& segment : step.segments) {
      if (segment.row + segment.count > step.rows) misuse("a segment is longer than the step");
      if (segment.position + segment.count > step.capacity) misuse("a position has no room");
    }
    segments_ = step.segments.data();
  }

  void run(const Embed& op) override { guarded(op); }
  void run(const RmsNorm& op) override { guarded(op); }
  void run(const Linear& op) override { guarded(op); }
  void run(const Linears& op) override { guarded(op); }
  void run(const QuantizeRows& op) override { guarded(op); }
  void run(const ReorderColumns& op) override { guarded(op); }
  void run(const Rope& op) override { guarded(op); }
  void run(const KvAppend& op) override { of_step(op); }
  void run(const PoolKeys& op) override { of_step(op); }
  void run(const ScoreBlocks& op) override { of_step(op); }
  void run(const SelectBlocks& op) override { of_step(op); }
  void run(const Attention& op) override { of_step(op); }
  void run(const SiluMul& op) override { guarded(op); }
  void run(const LogProb& op) override { guarded(op); }

  /// Its lists are the host's, and its results come late.
  void run(const Sample& op) override {
    op.check();
    int32_t token = -1;
    float log_prob = 0;
    std::vector<TokenLogProb> top(op.top.size());
    Sample now = op;
    now.token = &token;
    now.log_prob = op.log_prob ? &log_prob : nullptr;
    now.top = top;
    memory_.run([&] {
      const std::optional<Error> error = error_of([&] { inner_->run(now); });
      if (error && error->code != ErrorCode::kState) throw Error(*error);
      if (error) token = -1;  // none is left
      memory_.later([op, token, log_prob, top] {
        *op.token = token;
        if (op.log_prob) *op.log_prob = log_prob;
        std::copy(top.begin(), top.end(), op.top.begin());
      });
    });
  }

  void run(const Pack&) override { misuse("pack on a device"); }
  void run(const Repack&) override { misuse("repack on a device"); }
  void run(const RepackArrays&) override { misuse("repack_arrays on a device"); }
  void run(const PackTernary&) override { misuse("pack_ternary on a device"); }
  void run(const Gram&) override { misuse("gram on a device"); }
  void run(const Feedback&) override { misuse("feedback on a device"); }
  void run(const PackFeedback&) override { misuse("pack_feedback on a device"); }
  void run(const Refine&) override { misuse("refine on a device"); }

 private:
  /// Checks read no tensor: they run without access.
  template <typename Op>
  void guarded(const Op& op) {
    op.check();
    memory_.run([&] { inner_->run(op); });
  }

  template <typename Op>
  void of_step(const Op& op) {
    if (op.segments.data() != segments_) misuse("an op has other segments than its step");
    guarded(op);
  }

  const std::unique_ptr<Backend> inner_;
  GuardedMemory memory_;
  const Segment* segments_ = nullptr;
};

}  // namespace

std::unique_ptr<Backend> make_guarded_backend(std::unique_ptr<Backend> inner) {
  return std::make_unique<GuardedBackend>(std::move(inner));
}

}  // namespace minicpm::test
