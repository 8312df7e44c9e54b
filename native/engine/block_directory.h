// A directory of block files beside the memory of a BlockStore: what one process has computed, the
// next one reads. Safe for any number of processes at once.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "native/engine/block_file.h"

namespace minicpm {

/// Where a model keeps blocks on disk; an empty path: nowhere.
struct DirectoryPlan {
  std::string path;
  int64_t bytes = 0;  // of all block files below the path, about; the longest unused go first
};

/// Writes on a thread of its own, reads on the caller's. `store` outlives it. No failure of the
/// disk fails a run: writing ends, and `status` says why.
class BlockDirectory {
 public:
  /// Blocks of this run lie in `<path>/<fingerprint>/`. Makes the folders.
  BlockDirectory(BlockStore& store, const DirectoryPlan& plan, const std::string& fingerprint);
  /// Writes what is still offered.
  ~BlockDirectory();
  BlockDirectory(const BlockDirectory&) = delete;
  BlockDirectory& operator=(const BlockDirectory&) = delete;

  const std::string& folder() const { return folder_; }

  /// Has a sealed block written, or its file marked as used where there is one. False where too
  /// many wait: offer it again later. Allocates nothing.
  bool offer(KvBlock* block);

  /// Fills `bytes` with that block, if it is there and whole.
  bool read(const BlockName& name, std::span<std::byte> bytes);

  /// Waits until all that was offered is written.
  void flush();

  struct Status {
    int64_t written = 0;  // block files
    int64_t read = 0;
    int64_t wrong = 0;    // files that were cut or changed
    std::string problem;  // why nothing more is written; "" while all is well
  };
  Status status();

 private:
  static constexpr size_t kQueue = 32;  // blocks held for writing at most

  void main();
  void write(KvBlock* block);
  void prune();
  void end_writing(const std::string& problem);

  BlockStore& store_;
  const DirectoryPlan plan_;
  const std::string folder_;
  Buffer copy_;           // of a block that is partly spilled; the writer's own
  int64_t unpruned_ = 0;  // bytes written since the last look at the whole; the writer's own

  std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::vector<KvBlock*> queue_;  // the front is being written
  Status status_;
  bool ending_ = false;
  std::thread thread_;
};

/// Removes the longest unused block files below `path` until `bytes` are left, unfinished ones of
/// processes that are gone, and folders that are empty. Returns the bytes that are left.
int64_t prune_block_files(const std::string& path, int64_t bytes);

}  // namespace minicpm
