// The engine thread of one model: a loop of turns. Each turn runs one prefill slice and one decode
// step for every sequence that wants one, so that a long prompt never starves a stream. It waits
// for the backend once for each of the two.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "native/engine/kv_spill.h"
#include "native/engine/work.h"
#include "native/model/minicpm4.h"

namespace minicpm {

class Sequence;
struct SequenceState;

class StepLoop {
 public:
  /// All outlive the thread. `spill`: of the sequences' blocks, or null.
  StepLoop(MiniCpm4& forward, Backend& backend, KvSpill* spill);
  ~StepLoop() { stop(); }

  /// Ends all work as cancelled and joins the thread; work submitted later is refused.
  void stop();

 private:
  friend class Sequence;

  using Clock = std::chrono::steady_clock;
  static constexpr size_t kMaxUnemitted = 1024;  // tokens of one event, at most

  void main();
  /// Fills `turn_` with the sequences that have work and gives each its current work; ends
  /// cancelled work.
  void admit();
  /// Makes sure that `sequence` has current work that is not cancelled; false where there is none
  /// left.
  bool has_work(Sequence& sequence);
  /// Throws Error where work cannot start from the sequence's present state.
  void prepare(SequenceState& state, int64_t capacity, Work& work);

  void prefill_slice();
  bool attach_prefix(Sequence& sequence, PrefillWork& work);
  void run_slice(Sequence& sequence, PrefillWork& work);
  void score_slice(Sequence& sequence, PrefillWork& work, int rows);
  void pool_slice(PrefillWork& work, int rows);
  void decode_step();
  void step_pending();
  void keep_heads();
  void start_sample(Sequence& sequence);
  void sample(SequenceState& state, const SamplingOptions& options, const uint32_t* mask);
  void settle(Sequence& sequence);
  void settle_token(Sequence& sequence, DecodeWork& work);
  void fill(Sequence& sequence, const FillWork& work);
  void save(Sequence& sequence, SaveWork& work);

  /// The batch of the sequences in `batch_`; `tokens_`, `segments_` and `angles_` are its memory.
  bool run_batch();
  Batch batch_of_turn();
  void add_to_batch(Sequence& sequence, std::span<const int32_t> tokens);
  void clear_batch();
  void keep_head(SequenceState& state, const MiniCpm4::Head& head, int64_t row);

  void emit(Sequence& sequence);
  void finish(Sequence& sequence, Outcome outcome);
  void fail(Sequence& sequence, const Error& error);
  Work take_current(Sequence& sequence);

  /// Fetches for the batch at hand.
  class BatchFetch : public KvFetch {
   public:
    explicit BatchFetch(KvSpill* spill) : spill_(spill) {}
    int64_t room() const override { return spill_->room(); }
    void fetch(int layer, std::span<const KvNeed> needed) override {
      spill_->fetch(layer, needed, sequences);
    }
    std::vector<KvBlock* const*> sequences;  // the blocks of each segment

   private:
    KvSpill* const spill_;
  };

  MiniCpm4& forward_;
  Backend& backend_;
  Memory& memory_;
  int slice_rows_ = 64;      // adapts, so that a slice takes about kSliceSeconds
  size_t next_prefill_ = 0;  // whose turn it is to prefill

  // Kept between turns so that a decode step allocates nothing.
  std::vector<std::shared_ptr<Sequence>> turn_;
  std::vector<Sequence*> batch_;
  std::vector<int32_t> tokens_;
  std::vector<Segment> segments_;
  std::vector<const RopeAngles*> angles_;
  std::vector<float> hidden_;  // of pool_slice
  BatchFetch fetch_;
  const bool spills_;

  std::mutex mutex_;  // of busy_, stopping_ and the sequences' queues
  std::condition_variable wake_;
  std::vector<std::shared_ptr<Sequence>> busy_;  // with running or queued work
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace minicpm
