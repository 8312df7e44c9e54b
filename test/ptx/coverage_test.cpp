// The last of ptx_test, so that it sees what the others ran.
#include "test/kernels/test.h"
#include "test/ptx/kernel_text.h"

namespace minicpm::test {

TEST("PTX has no form here that no test has run") {
  if (forms_run().empty()) return;  // the others were left out
  for (const ptx::Form& form : ptx::Forms::known().all()) {
    const bool by_nvcc = ptx::counters.by_opcode.count(form.name) > 0;
    if (!by_nvcc && !forms_run().count(form.name)) fail(__FILE__, __LINE__, form.name);
  }
}

}  // namespace minicpm::test
