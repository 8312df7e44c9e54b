// A fiber: a stack of its own, resumed and left by an ordinary call. Every CUDA thread is one.
#pragma once

#include <cstddef>

namespace minicpm::simt {

/// Where a suspended fiber (or the scheduler) goes on: its stack pointer.
using FiberPoint = void*;

/// A fiber that starts in `entry`, which must never return, on the stack that ends at `top`, a
/// multiple of 16.
FiberPoint new_fiber(std::byte* top, void (*entry)());

/// Suspends the running fiber into `here` and goes on at `there`.
void switch_fiber(FiberPoint& here, FiberPoint there);

}  // namespace minicpm::simt
