// The list of kernel sets, best first, and the choice among them.
#include <string>

#include "kernels/cpu/table.h"
#include "kernels/error.h"

namespace minicpm {

namespace avx512 {
extern const CpuKernels kernels;
}
namespace avxvnni {
extern const CpuKernels kernels;
}
namespace avx2 {
extern const CpuKernels kernels;
}
namespace baseline {
extern const CpuKernels kernels;
}

std::span<const CpuKernels* const> cpu_kernel_sets() {
  static const CpuKernels* const sets[] = {&avx512::kernels, &avxvnni::kernels, &avx2::kernels,
                                           &baseline::kernels};
  return sets;
}

const CpuKernels& select_cpu_kernels(const char* forced) {
  const std::string asked = forced ? forced : "";
  std::vector<std::string> fields = {asked};
  for (const CpuKernels* set : cpu_kernel_sets()) {
    if (!set->supported()) continue;
    if (asked.empty() || asked == set->isa) return *set;
    fields.push_back(set->isa);
  }
  std::string present;
  for (size_t i = 1; i < fields.size(); i++) present += (i > 1 ? ", " : "") + fields[i];
  throw Error(ErrorCode::kDevice,
              "this processor has no instruction set \"" + asked + "\" of ours; it has " + present,
              fields);
}

}  // namespace minicpm
