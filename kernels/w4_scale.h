// The scale of a group of w4: the one of several whose rounding is off least.
#pragma once

#include <cstdint>

namespace minicpm {

/// Of the scales around largest / -8 that squared errors ask for, the best, before it is rounded to
/// f16:
///
///   q(l)   = x * l / -largest, rounded to nearest and clamped to [-8, 7], for l = 6.5, 6.75 .. 9
///   scale  = sum(x q) / sum(q q)    (least squares), of the l with the largest sum(x q)^2 / sum(q
///   q)
///
/// `largest` is the number of the largest magnitude, which lies within 1e-12 and 1e9. Sums are
/// float, in 16 lanes by column, then in the order of lanes: the same bits everywhere.
float w4_scale(const float* x, int64_t count, float largest);

/// sum(x^2 (x - scale * q)^2) of `count` numbers rounded to q with a scale that is not 0.
double w4_error(const float* x, int64_t count, float scale);

}  // namespace minicpm
