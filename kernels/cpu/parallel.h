// Loops over a kernel's items on the backend's threads.
#pragma once

#include "kernels/cpu/workers.h"

namespace minicpm::ISA {

/// Runs body(item, thread) for every item of [0, count).
template <typename Body>
inline void for_each(Workers& workers, int count, Body& body) {
  workers.run(
      count,
      [](void* context, int item, int thread) { (*static_cast<Body*>(context))(item, thread); },
      &body);
}

/// Whole units, few as they are, would leave threads without work.
inline bool uneven(int units, const Workers& workers) {
  return units < 4 * workers.threads() && units % workers.threads() != 0;
}

/// Runs body(first, last) over [0, total) in pieces of at least `minimum`: small work stays on this
/// thread.
template <typename Body>
inline void for_ranges(Workers& workers, int64_t total, int64_t minimum, const Body& body) {
  const int64_t most = 4 * int64_t{workers.threads()};
  int64_t pieces = (total + minimum - 1) / minimum;
  if (pieces > most) pieces = most;
  if (pieces <= 1 || workers.threads() == 1) {
    if (total > 0) body(int64_t{0}, total);
    return;
  }
  auto piece = [&](int item, int) { body(total * item / pieces, total * (item + 1) / pieces); };
  for_each(workers, static_cast<int>(pieces), piece);
}

}  // namespace minicpm::ISA
