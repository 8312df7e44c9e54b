// The CPU backend's threads: they claim items by an atomic counter, spin briefly after work, then
// sleep.
#pragma once

#include <cstddef>

namespace minicpm {

class Workers {
 public:
  /// `threads` includes the caller: threads - 1 are started.
  explicit Workers(int threads);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  int threads() const { return threads_; }

  using Item = void (*)(void* context, int item, int thread);

  /// Runs item(context, i, thread) for i in [0, count), thread in [0, threads()), and returns when
  /// all are done. Items are claimed in order by whoever is free. Never allocates. One caller at a
  /// time; an item must not throw.
  void run(int count, Item item, void* context);

  /// Memory for the items of the next runs: `each` bytes a thread and `shared` bytes for all,
  /// 64-byte aligned, of unknown content, kept until more is asked for. Allocates only where an
  /// earlier call has not asked for as much.
  void reserve(size_t each, size_t shared);
  void* scratch(int thread) const;
  void* shared_scratch() const;

 private:
  struct Shared;
  Shared* shared_;
  int threads_;
};

}  // namespace minicpm
