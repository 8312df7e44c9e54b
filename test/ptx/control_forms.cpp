// Where a thread goes on. Warp does what these mean.
#include "test/ptx/forms.h"

namespace minicpm::ptx {

namespace {

Outcome nothing(Warp&, const Instruction&, uint32_t) {
  return Outcome::done;
}

}  // namespace

void add_control_forms(Forms& forms) {
  for (const char* name : {"bra", "bra.uni"}) {
    forms.add({name, "t", nullptr, Form::Kind::branch});
  }
  for (const char* name : {"ret", "exit"}) forms.add({name, "", nullptr, Form::Kind::exit});
  forms.add({"bar.sync", "n", nullptr, Form::Kind::barrier});
  const auto add = [&](const char* name, uint32_t (*combine)(uint32_t, uint32_t)) {
    Form form{name, "dnb", nullptr, Form::Kind::barrier};
    form.combine = combine;
    forms.add(form);
  };
  add("bar.red.popc.u32", [](uint32_t yes, uint32_t) { return yes; });
  add("bar.red.and.pred", [](uint32_t yes, uint32_t all) { return uint32_t{yes == all}; });
  add("bar.red.or.pred", [](uint32_t yes, uint32_t) { return uint32_t{yes > 0}; });
  // Memory is in order here, and time does not pass.
  for (const char* name : {"membar.gl", "membar.cta", "fence.sc.gpu", "fence.acq_rel.gpu"}) {
    forms.add({name, "", nothing});
  }
  forms.add({"nanosleep.u32", "s", nothing});
}

}  // namespace minicpm::ptx
