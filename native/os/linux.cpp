#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <set>
#include <utility>

#include "kernels/error.h"
#include "native/os/os.h"

namespace minicpm::os {
namespace {

std::atomic<int64_t> mapped{0};

/// The first number in a file of /proc or /sys, or `missing` where there is none ("max" in
/// cgroups).
int64_t read_number(const std::string& path, int64_t missing) {
  std::ifstream file(path);
  int64_t number;
  return file >> number ? number : missing;
}

/// A line "Name:   123 kB" of /proc/meminfo, in bytes.
int64_t meminfo_bytes(const std::string& name) {
  std::ifstream file("/proc/meminfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with(name + ":")) return std::stoll(line.substr(name.size() + 1)) * 1024;
  }
  return 0;
}

[[noreturn]] void throw_file_error(const std::string& path, const std::string& expected,
                                   const std::string& found) {
  throw Error(ErrorCode::kCheckpoint, path + ": expected " + expected + ", found " + found,
              {path, "", expected, found});
}

}  // namespace

std::byte* allocate_pages(size_t bytes) {
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return data == MAP_FAILED ? nullptr : static_cast<std::byte*>(data);
}

void free_pages(std::byte* data, size_t bytes) {
  munmap(data, bytes);
}

void forget_pages(std::byte* data, size_t bytes) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t first = (reinterpret_cast<uintptr_t>(data) + page - 1) / page * page;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(data) + bytes) / page * page;
  if (first < end) madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);
}

void prefer_small_pages(std::byte* data, size_t bytes) {
  madvise(data, bytes, MADV_NOHUGEPAGE);
}

void prefer_large_pages(std::byte* data, size_t bytes) {
  if (bytes > 0) madvise(data, bytes, MADV_HUGEPAGE);  // a wish: a system without them says no
}

MappedFile::MappedFile(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) throw_file_error(path, "a readable file", strerror(errno));
  struct stat status;
  if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0) {
    close(file);
    throw_file_error(path, "a regular file with content", "none");
  }
  size_ = static_cast<size_t>(status.st_size);
  void* data = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
  const int error = errno;
  close(file);
  if (data == MAP_FAILED) throw_file_error(path, "a file that can be mapped", strerror(error));
  data_ = static_cast<const std::byte*>(data);
  mapped += static_cast<int64_t>(size_);
}

MappedFile::~MappedFile() {
  munmap(const_cast<std::byte*>(data_), size_);
  mapped -= static_cast<int64_t>(size_);
}

void MappedFile::forget(size_t offset, size_t bytes) const {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t begin = (offset + page - 1) / page * page;
  const size_t end = (offset + bytes) / page * page;
  if (begin < end) madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);
}

int64_t mapped_bytes() {
  return mapped;
}

int physical_cores() {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return 1;
  std::set<std::pair<int64_t, int64_t>> cores;  // (package, core)
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    const std::string topology = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    cores.emplace(read_number(topology + "physical_package_id", 0),
                  read_number(topology + "core_id", cpu));
  }
  return std::max<int>(1, static_cast<int>(cores.size()));
}

Memory memory() {
  Memory result{meminfo_bytes("MemAvailable"), meminfo_bytes("MemTotal")};
  const int64_t limit = read_number("/sys/fs/cgroup/memory.max", result.total);
  if (limit < result.total) {
    const int64_t used = read_number("/sys/fs/cgroup/memory.current", 0);
    result = {std::clamp<int64_t>(limit - used, 0, result.free), limit};
  }
  return result;
}

void* find_in_library(const std::string& path, const char* name, std::string& why) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  void* address = library ? dlsym(library, name) : nullptr;
  if (address == nullptr) why = dlerror();
  return address;
}

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

}  // namespace minicpm::os
