// KV blocks beyond memory: a file of sealed blocks, and slots in memory for those in use.
//
// A block keeps its addresses. Its heads (keys and values of one layer and KV head, whole pages)
// come and go: a head that is in memory has a slot of its layer, and one that loses its slot gives
// its pages back. Pooled keys and int8's scales always stay, wherever they are. So kernels read
// blocks as ever, and no page fault ever reads the file.
#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "kernels/kv_layout.h"
#include "native/model/kv_fetch.h"
#include "native/os/files.h"

namespace minicpm {

struct KvBlock;

/// Where a model keeps what its memory does not hold; an empty path: nowhere.
struct SpillPlan {
  std::string path;   // a folder
  int64_t bytes = 0;  // of the heads of sealed blocks in memory, at most
};

/// A block's place in the file, and which of its heads are in memory.
struct Spilled {
  int64_t place = -1;      // in blocks; -1: none
  bool written = false;    // all heads are in the file; until then all are in memory
  std::vector<int> slots;  // [layers * kv_heads], of the head's layer; -1: not in memory
};

/// Thread-safe; only the thread that runs the model may call `fetch` and `write`.
class KvSpill {
 public:
  /// Makes the folder and a file in it that has no name. `most_blocks`: that one query attends to.
  /// Throws Error{kStorage}, and Error{kOutOfMemory} where `plan.bytes` do not hold what one query
  /// attends to.
  KvSpill(const KvLayout& layout, const SpillPlan& plan, int64_t most_blocks);
  KvSpill(const KvSpill&) = delete;
  KvSpill& operator=(const KvSpill&) = delete;

  /// Throws Error{kOutOfMemory} as the constructor does.
  static void check(const KvLayout& layout, const SpillPlan& plan, int64_t most_blocks);
  /// Bytes of a block that stay in memory.
  static int64_t pinned_bytes(const KvLayout& layout) {
    return static_cast<int64_t>(layout.block_bytes() - layout.heads_bytes());
  }
  int64_t bytes() const { return plan_.bytes; }

  /// Takes room in the file for a new block, so that a full disk is known before anything is
  /// computed. Throws Error{kStorage}.
  void begin(KvBlock& block);
  /// Gives back a block's room and slots.
  void end(KvBlock& block);

  /// Writes a block that has become full; from then on its heads have slots, or none. Where the
  /// file cannot be written they stay in memory, and the next `begin` throws.
  void write(KvBlock& block);

  /// All bytes of a block, wherever its heads are, into `bytes`. Throws Error{kStorage}.
  void read(const KvBlock& block, std::span<std::byte> bytes) const;

  /// Heads of a layer that can be in memory at once.
  int64_t room() const { return slots_a_layer_; }
  /// Has the heads in memory until the next call; `sequences[s]` are the blocks of segment s. What
  /// is missing is read in one batch, in the order of the file. Throws Error{kStorage}.
  void fetch(int layer, std::span<const KvNeed> needed, std::span<KvBlock* const* const> sequences);

  struct Status {
    std::string path;
    int64_t capacity_bytes = 0;  // of heads in memory
    int64_t file_bytes = 0;
    int64_t hits = 0, misses = 0;  // heads of written blocks that were asked for
    int64_t bytes_read = 0, bytes_written = 0;
    double read_seconds = 0;  // that the model waited
    std::string problem;      // why no more blocks can be made; "" while all is well
  };
  Status status() const;

 private:
  struct Slot {
    KvBlock* block = nullptr;
    int head = 0;
    int older = -1, newer = -1;
  };
  /// Slots in the order of their last use.
  struct Layer {
    std::vector<Slot> slots;
    int oldest = -1, newest = -1;
  };
  struct Missing {
    KvBlock* block;
    int head;
    int64_t offset;  // in the file
  };

  void unlink(Layer& layer, int slot);
  void make_newest(Layer& layer, int slot);
  void make_oldest(Layer& layer, int slot);
  /// The slot used longest ago, freed.
  int claim(int layer);
  void give(int layer, int slot, KvBlock& block, int head);
  int64_t offset_of(const KvBlock& block, int layer, int head) const;
  std::span<std::byte> head_of(const KvBlock& block, int layer, int head) const;

  const KvLayout layout_;
  const SpillPlan plan_;
  const int64_t slots_a_layer_;

  mutable std::mutex mutex_;  // of what follows, and of blocks' `Spilled`
  os::File file_;
  std::vector<int64_t> free_places_;
  int64_t places_ = 0;
  std::vector<Layer> layers_;
  std::vector<Missing> missing_;
  Status status_;
};

}  // namespace minicpm
