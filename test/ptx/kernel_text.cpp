#include "test/ptx/kernel_text.h"

#include <cstring>
#include <sstream>

namespace minicpm::test {

namespace {

std::set<std::string> run_forms;

/// Device memory that is freed at the end.
class OutMemory {
 public:
  explicit OutMemory(unsigned threads)
      : allocation_(ptx::device_memory().allocate(threads * sizeof(uint64_t))) {
    std::fill(allocation_->bytes.begin(), allocation_->bytes.end(), std::byte{0});
    std::fill(allocation_->written.begin(), allocation_->written.end(), uint8_t{1});
  }
  ~OutMemory() { ptx::device_memory().free(allocation_->address); }

  uint64_t address() const { return allocation_->address; }
  std::vector<uint64_t> numbers() const {
    std::vector<uint64_t> numbers(allocation_->size / sizeof(uint64_t));
    std::memcpy(numbers.data(), allocation_->bytes.data(), allocation_->size);
    return numbers;
  }

 private:
  ptx::Allocation* allocation_;
};

/// A program whose variables are freed at the end.
class PlacedProgram {
 public:
  explicit PlacedProgram(const std::string& text) : program_(ptx::parse(text, place)) {}
  ~PlacedProgram() {
    for (const auto& [name, variable] : program_.variables) {
      ptx::device_memory().free(variable->address);
    }
  }

  const ptx::Kernel& kernel() const { return *program_.kernels.at("test_kernel"); }

 private:
  static uint64_t place(const std::vector<std::byte>& bytes) {
    ptx::Allocation* made = ptx::device_memory().allocate(bytes.size());
    made->bytes = bytes;
    made->written.assign(bytes.size(), 1);
    return made->address;
  }

  ptx::Program program_;
};

/// The bits' mov for a register, by the letters of its name.
std::string set(const std::string& name, uint64_t bits) {
  const std::string kind = name.substr(1, name.find_first_of("0123456789") - 1);
  const std::string mov = kind == "p"                  ? "mov.pred"
                          : kind == "rs"               ? "mov.b16"
                          : kind == "r" || kind == "f" ? "mov.b32"
                                                       : "mov.b64";
  return mov + " " + name + ", " + std::to_string(bits) + ";\n";
}

/// To 64 bits, %rd14, from a result register.
std::string widen(const std::string& name) {
  const std::string kind = name.substr(1, name.find_first_of("0123456789") - 1);
  if (kind == "p") return "selp.b64 %rd14, 1, 0, " + name + ";\n";
  if (kind == "rs") return "cvt.u64.u16 %rd14, " + name + ";\n";
  if (kind == "r") return "cvt.u64.u32 %rd14, " + name + ";\n";
  if (kind == "f") return "mov.b32 %r14, " + name + ";\ncvt.u64.u32 %rd14, %r14;\n";
  return "mov.b64 %rd14, " + name + ";\n";
}

}  // namespace

std::string kernel_text(const std::string& body, const std::string& declarations) {
  return ".version 9.0\n.target sm_80\n.address_size 64\n" + declarations +
         ".visible .entry test_kernel(.param .u64 out, .param .align 16 .b8 given[32])\n{\n"
         ".reg .pred %p<16>;\n.reg .b16 %rs<16>;\n.reg .b32 %r<16>;\n.reg .b64 %rd<16>;\n"
         ".reg .f32 %f<16>;\n.reg .f64 %fd<16>;\n"
         "ld.param.u64 %rd15, [out];\n" +
         body + "\nret;\n}\n";
}

uint8_t given_byte(unsigned index) {
  return static_cast<uint8_t>(0x71 + index * 0x1d);
}

std::vector<uint64_t> run_text(const std::string& body, unsigned threads,
                               const std::string& declarations, unsigned dynamic_shared) {
  const PlacedProgram program(kernel_text(body, declarations));
  const ptx::Kernel& kernel = program.kernel();
  for (const auto& instruction : kernel.code) run_forms.insert(instruction.form->name);
  const OutMemory out(threads);
  std::vector<std::byte> arguments(kernel.parameter_bytes);
  const uint64_t address = out.address();
  std::memcpy(arguments.data(), &address, sizeof address);
  for (unsigned i = 0; i < 32; i++) {
    arguments[kernel.parameters[1].offset + i] = std::byte{given_byte(i)};
  }
  ptx::run_kernel(kernel, {{1, 1, 1}, {threads, 1, 1}, dynamic_shared}, arguments, {});
  return out.numbers();
}

std::string keep(const std::string& register_64) {
  return "mov.u32 %r13, %tid.x;\nmul.wide.u32 %rd13, %r13, 8;\nadd.s64 %rd13, %rd13, %rd15;\n"
         "st.global.b64 [%rd13], " +
         register_64 + ";\n";
}

std::string complaint_of(const std::string& body, unsigned threads,
                         const std::string& declarations) {
  try {
    run_text(body, threads, declarations);
    return "";
  } catch (const std::exception& error) {
    return error.what();
  }
}

uint64_t result_of(const std::string& instruction, const std::vector<uint64_t>& inputs) {
  std::string words = instruction;
  for (char& sign : words) sign = std::strchr(",{}", sign) ? ' ' : sign;
  std::istringstream split(words);
  std::string opcode, result, name, body;
  split >> opcode >> result;
  for (size_t i = 0; split >> name;) {
    if (name[0] == '!') name.erase(0, 1);
    if (name[0] == '%') body += set(name, inputs.at(i++));
  }
  return run_text(body + instruction + ";\n" + widen(result) + keep("%rd14"), 1)[0];
}

const std::set<std::string>& forms_run() {
  return run_forms;
}

}  // namespace minicpm::test
