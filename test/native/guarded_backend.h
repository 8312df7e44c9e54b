// A backend whose memory the host cannot touch: pages are without access but while an op or a copy
// runs, so that whoever follows an address of the device's crashes. Results come late, as from a
// real device: with `synchronize` and not before.
#pragma once

#include <memory>

#include "native/backend/backend.h"

namespace minicpm::test {

/// Runs ops by `inner`, whose memory is the host's.
std::unique_ptr<Backend> make_guarded_backend(std::unique_ptr<Backend> inner);

}  // namespace minicpm::test
