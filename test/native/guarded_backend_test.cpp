#include "test/native/guarded_backend.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernels/error.h"
#include "test/kernels/test.h"

namespace minicpm::test {
namespace {

/// Whether a process that runs `action` ends by a signal for bad memory.
template <typename Action>
bool crashes(Action action) {
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGSEGV, SIG_DFL);  // sanitizers report it otherwise
    action();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

TEST("the host cannot touch guarded memory, ops and copies can, and results come when waited for") {
  const auto backend = make_guarded_backend(make_reference_backend());
  Memory& memory = backend->memory();
  const Buffer buffer(memory, 64);
  CHECK(crashes([&] { *const_cast<volatile float*>(buffer.as<float>()) = 1; }));
  CHECK(
      crashes([&] { _exit(static_cast<int>(*const_cast<volatile float*>(buffer.as<float>()))); }));

  const float given[] = {1, 2, 3, 4};
  memory.upload(buffer.data(), given, sizeof given);
  const Tensor x{buffer.data(), DType::f32, 1, 4};
  backend->run(SiluMul{.y = x, .gate = x, .up = x});
  memory.zero(buffer.data(), {.bytes = 4, .count = 2, .pitch = 8});
  float found[] = {-1, -1, -1, -1};
  memory.download(found, buffer.data(), sizeof found);
  CHECK(found[1] == -1);
  memory.synchronize();
  CHECK(found[0] == 0 && found[2] == 0 && found[1] > 3 && found[3] > 15);
  CHECK_THROWS(ErrorCode::kState, memory.upload(found, given, sizeof given));
}

}  // namespace
}  // namespace minicpm::test
