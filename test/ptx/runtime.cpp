#include "test/ptx/runtime.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

namespace minicpm::ptx {

namespace {

std::string word_of(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

uint64_t number_of(const char* name, uint64_t otherwise) {
  const std::string word = word_of(name);
  if (word.empty()) return otherwise;
  if (word.find_first_not_of("0123456789") != std::string::npos || word.size() > 18) {
    std::fprintf(stderr, "%s=%s is no number\n", name, word.c_str());
    std::exit(2);
  }
  return std::stoull(word);
}

/// Which of the words a variable is, counted from 1; 0 where it is not set.
size_t choice_of(const char* name, const std::vector<std::string>& words) {
  const std::string word = word_of(name);
  if (word.empty()) return 0;
  const auto found = std::find(words.begin(), words.end(), word);
  if (found != words.end()) return static_cast<size_t>(found - words.begin()) + 1;
  std::fprintf(stderr, "%s=%s should be %s", name, word.c_str(), words[0].c_str());
  for (size_t i = 1; i < words.size(); i++) std::fprintf(stderr, " or %s", words[i].c_str());
  std::fprintf(stderr, "\n");
  std::exit(2);
}

void write_lines(const std::string& path) {
  std::ofstream file(path);
  for (const auto& module : runtime().modules) {
    if (!module->program) continue;
    for (const auto& [name, kernel] : module->program->kernels) {
      for (const Instruction& instruction : kernel->code) {
        if (instruction.has_run) file << name << '\t' << instruction.line << '\n';
      }
    }
  }
}

void report_at_exit() {
  if (!word_of("PTX_LINES").empty()) write_lines(word_of("PTX_LINES"));
  if (number_of("PTX_COUNTERS", 0)) std::fputs(counters.report().c_str(), stderr);
  if (!number_of("PTX_LEAKS", 0)) return;
  const std::string left = leaks();
  std::fprintf(stderr, "%s\n", left.empty() ? "CUDA: all was freed" : left.c_str());
}

}  // namespace

Settings settings_of_environment() {
  Settings settings;
  settings.device = static_cast<Device>(choice_of("PTX_DEVICE", {"none", "old-driver"}));
  settings.vram = number_of("PTX_VRAM", settings.vram);
  settings.fail_call = static_cast<int>(number_of("PTX_FAIL_CALL", 0));
  settings.fail_allocation = static_cast<int>(number_of("PTX_FAIL_ALLOCATION", 0));
  settings.delay = number_of("PTX_DELAY", 0) != 0;
  settings.schedule.descending = choice_of("PTX_ORDER", {"ascending", "descending"}) == 2;
  settings.schedule.resident = static_cast<unsigned>(number_of("PTX_RESIDENT", 1));
  return settings;
}

Runtime& runtime() {
  static Runtime& runtime = *new Runtime;  // outlives what static destructors free
  return runtime;
}

Runtime::Runtime() : settings(settings_of_environment()) {
  device_memory().limit = settings.vram;
  counting = number_of("PTX_COUNTERS", 0) != 0;
  std::atexit(report_at_exit);
}

cudaError_t Runtime::begin(cudaError_t failure) {
  calls++;
  if (settings.device == Device::none) return end(cudaErrorNoDevice);
  if (settings.device == Device::old_driver) return end(cudaErrorInsufficientDriver);
  if (calls == settings.fail_call) return end(failure);
  return sticky;
}

cudaError_t Runtime::begin_allocation() {
  allocations++;
  const cudaError_t error = begin(cudaErrorMemoryAllocation);
  if (error != cudaSuccess) return error;
  return allocations == settings.fail_allocation ? end(cudaErrorMemoryAllocation) : cudaSuccess;
}

cudaError_t Runtime::end(cudaError_t error) {
  if (error != cudaSuccess) last = error;
  return error;
}

cudaError_t Runtime::fault(cudaError_t error, const std::string& text) {
  faults.push_back(text);
  if (settings.print) std::fprintf(stderr, "CUDA: %s\n", text.c_str());
  return end(error);
}

uint64_t Runtime::give(Stream& stream, std::function<void()> run) {
  const uint64_t number = ++next_;
  stream.tasks.push_back({number, std::move(run)});
  if (!settings.delay) finish(stream, number);
  return number;
}

void Runtime::finish(Stream& stream, uint64_t last_number) {
  while (!stream.tasks.empty() && stream.tasks.front().number <= last_number) {
    const Task task = std::move(stream.tasks.front());
    stream.tasks.pop_front();
    if (&stream == &legacy) {
      for (Stream* other : streams) {
        if (other->blocking) finish(*other, task.number);
      }
    } else if (stream.blocking) {
      finish(legacy, task.number);
    }
    task.run();
  }
}

void Runtime::finish_all() {
  finish(legacy);
  for (Stream* stream : streams) finish(*stream);
}

bool Runtime::ask(Stream& stream, uint64_t number) {
  const auto reached = [&] { return stream.tasks.empty() || stream.tasks.front().number > number; };
  if (reached()) return true;
  finish(stream, stream.tasks.front().number);
  return reached();
}

Stream* Runtime::stream_of(cudaStream_t handle) {
  if (handle == nullptr || handle == cudaStreamLegacy) return &legacy;
  const auto found = streams.find(reinterpret_cast<Stream*>(handle));
  return found == streams.end() ? nullptr : *found;
}

bool Runtime::is_pinned(const void* address, size_t bytes) const {
  auto next = pinned.upper_bound(address);
  if (next == pinned.begin()) return false;
  const auto& [start, size] = *std::prev(next);
  const size_t offset =
      static_cast<size_t>(static_cast<const char*>(address) - static_cast<const char*>(start));
  return offset <= size && bytes <= size - offset;
}

Settings settings() {
  return Locked().runtime.settings;
}

void set(const Settings& settings) {
  Locked locked;
  Runtime& cuda = locked.runtime;
  cuda.finish_all();
  cuda.settings = settings;
  cuda.calls = cuda.allocations = 0;
  device_memory().limit = settings.vram;
}

int calls_made() {
  return Locked().runtime.calls;
}

int allocations_made() {
  return Locked().runtime.allocations;
}

std::vector<std::string> take_faults() {
  Locked locked;
  return std::exchange(locked.runtime.faults, {});
}

std::string leaks() {
  Locked locked;
  const Runtime& cuda = locked.runtime;
  std::string text;
  const auto add = [&](size_t count, const std::string& what) {
    if (count) text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + what;
  };
  // Arrays of modules live as long as the program.
  size_t of_modules = 0, bytes_of_modules = 0;
  for (const auto& module : cuda.modules) {
    if (!module->program) continue;
    for (const auto& [name, variable] : module->program->variables) {
      of_modules++, bytes_of_modules += variable->bytes.size();
    }
  }
  add(device_memory().allocations() - of_modules,
      "allocations of " + std::to_string(device_memory().in_use() - bytes_of_modules) + " bytes");
  add(cuda.pinned.size(), "page-locked allocations");
  add(cuda.streams.size(), "streams");
  add(cuda.events.size(), "events");
  return text.empty() ? "" : "CUDA: not freed: " + text;
}

}  // namespace minicpm::ptx
