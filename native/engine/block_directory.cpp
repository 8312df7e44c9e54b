#include "native/engine/block_directory.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "kernels/error.h"
#include "native/os/files.h"

namespace minicpm {
namespace {

namespace files = std::filesystem;
using FileClock = files::file_time_type::clock;

/// An unfinished file is left alone this long, whatever its process: ids mean little across
/// containers that share a directory.
constexpr auto kUnfinishedAge = std::chrono::minutes(1);

/// Sets the time of last use to now. False where there is no such file.
bool mark_used(const std::string& path) {
  std::error_code error;
  files::last_write_time(path, FileClock::now(), error);
  return !error || files::exists(path, error);
}

}  // namespace

BlockDirectory::BlockDirectory(BlockStore& store, const DirectoryPlan& plan,
                               const std::string& fingerprint)
    : store_(store), plan_(plan), folder_(plan.path + "/" + fingerprint) {
  queue_.reserve(kQueue);
  if (!os::make_private_folders(folder_)) end_writing(os::last_error());
  thread_ = std::thread([this] { main(); });
}

BlockDirectory::~BlockDirectory() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

bool BlockDirectory::offer(KvBlock* block) {
  {
    const std::lock_guard lock(mutex_);
    if (!status_.problem.empty()) return true;
    if (queue_.size() == kQueue) return false;
    store_.share(block);
    queue_.push_back(block);
  }
  changed_.notify_all();
  return true;
}

bool BlockDirectory::read(const BlockName& name, std::span<std::byte> bytes) {
  const BlockFile found = read_block_file(folder_, name, bytes);
  if (found == BlockFile::missing) return false;
  const std::lock_guard lock(mutex_);
  ++(found == BlockFile::read ? status_.read : status_.wrong);
  return found == BlockFile::read;
}

void BlockDirectory::flush() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return queue_.empty(); });
}

BlockDirectory::Status BlockDirectory::status() {
  const std::lock_guard lock(mutex_);
  return status_;
}

// ------------------------------------------------------------------------------ the writer's
// thread

void BlockDirectory::main() {
  prune();
  for (;;) {
    KvBlock* block;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return ending_ || !queue_.empty(); });
      if (queue_.empty()) return;
      block = queue_.front();
    }
    write(block);
    store_.drop(block);
    {
      const std::lock_guard lock(mutex_);
      queue_.erase(queue_.begin());
    }
    changed_.notify_all();
  }
}

void BlockDirectory::write(KvBlock* block) {
  if (!status().problem.empty() || mark_used(block_path(folder_, block->key))) return;
  std::span<const std::byte> bytes;
  const std::optional<Error> unread = error_of([&] { bytes = store_.content(*block, copy_); });
  if (unread) return end_writing(unread->what());
  const BlockName name{block->parent, block->tokens};
  std::string problem = write_block_file(folder_, name, bytes);
  std::error_code error;
  if (!problem.empty() && !files::exists(folder_, error) && os::make_private_folders(folder_)) {
    problem = write_block_file(folder_, name, bytes);  // somebody had cleared the directory
  }
  if (!problem.empty()) return end_writing(problem);
  {
    const std::lock_guard lock(mutex_);
    ++status_.written;
  }
  unpruned_ += static_cast<int64_t>(bytes.size());
  if (unpruned_ > plan_.bytes / 16) prune();
}

/// Makes room for what will be written until the next time.
void BlockDirectory::prune() {
  prune_block_files(plan_.path, plan_.bytes - plan_.bytes / 16);
  unpruned_ = 0;
}

void BlockDirectory::end_writing(const std::string& problem) {
  const std::lock_guard lock(mutex_);
  status_.problem = "Nothing more is written to " + folder_ + ": " + problem + ".";
}

int64_t prune_block_files(const std::string& path, int64_t bytes) {
  const os::FileLock lock(path + "/lock");
  if (!lock.ok()) return 0;
  struct Found {
    files::file_time_type used;
    files::path path;
    int64_t bytes;
  };
  std::vector<Found> found;
  int64_t total = 0;
  std::error_code error;
  for (files::recursive_directory_iterator at(path, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code gone;  // by another process: passed over
    if (!at->is_regular_file(gone) || at->is_symlink(gone)) continue;
    const Found file{at->last_write_time(gone), at->path(),
                     static_cast<int64_t>(at->file_size(gone))};
    if (gone) continue;
    const int writer = unfinished_by(file.path.filename());
    if (writer != 0 && !os::process_lives(writer) &&
        FileClock::now() - file.used > kUnfinishedAge) {
      files::remove(file.path, gone);
    } else if (names_block(file.path.filename())) {
      found.push_back(file);
      total += file.bytes;
    }
  }
  std::ranges::sort(found, {}, &Found::used);
  for (const Found& file : found) {
    if (total <= bytes) break;
    if (files::remove(file.path, error)) total -= file.bytes;
    files::remove(file.path.parent_path(), error);  // fails unless it is empty
  }
  return total;
}

}  // namespace minicpm
