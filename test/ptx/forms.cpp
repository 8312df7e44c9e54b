#include "test/ptx/forms.h"

#include <stdexcept>

namespace minicpm::ptx {

Forms::Forms() {
  add_integer_forms(*this);
  add_float_forms(*this);
  add_conversion_forms(*this);
  add_memory_forms(*this);
  add_atomic_forms(*this);
  add_warp_forms(*this);
  add_matrix_forms(*this);
  add_control_forms(*this);
}

const Forms& Forms::known() {
  static const Forms& forms = *new Forms;  // for as long as kernels may run
  return forms;
}

const Form* Forms::find(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

void Forms::add(Form form) {
  form.index = forms_.size();
  forms_.push_back(std::move(form));
  if (!by_name_.emplace(forms_.back().name, &forms_.back()).second) {
    throw std::logic_error(forms_.back().name + " is listed twice");
  }
}

}  // namespace minicpm::ptx
