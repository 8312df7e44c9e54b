#include "test/ptx/block.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <set>

namespace minicpm::ptx {

namespace {

/// A kernel's name as in the source, without the parameters.
std::string readable(const std::string& name) {
  int status = 0;
  char* text = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
  std::string result = status == 0 ? text : name;
  std::free(text);
  return result.substr(0, result.find('('));
}

std::string list(const std::set<int>& lines) {
  std::string text;
  for (int line : lines) text += (text.empty() ? "" : ", ") + std::to_string(line);
  return text;
}

}  // namespace

Block::Block(const Kernel& kernel, const LaunchShape& shape,
             const std::vector<std::byte>& arguments, const Schedule& schedule)
    : kernel_(kernel), shape_(shape), schedule_(schedule), arguments_(arguments) {
  shared_.resize(kernel.dynamic_offset() + shape.dynamic_shared);
  const unsigned warps = (shape.block.count() + kLanes - 1) / kLanes;
  for (unsigned i = 0; i < warps; i++) warps_.push_back(std::make_unique<Warp>(*this, i));
}

void Block::start(unsigned index) {
  const Size& grid = shape_.grid;
  index_ = {index % grid.x, index / grid.x % grid.y, index / grid.x / grid.y};
  std::fill(shared_.begin(), shared_.end(), std::byte{0xff});
  shared_written_.assign(shared_.size(), 0);
  unsigned threads = shape_.block.count();
  for (auto& warp : warps_) {
    warp->start(threads);
    threads -= std::min(threads, kLanes);
  }
}

bool Block::advance() {
  bool moved = false;
  uint64_t live = 0, waiting = 0;
  for (size_t i = 0; i < warps_.size(); i++) {
    moved |= warps_[schedule_.descending ? warps_.size() - 1 - i : i]->advance();
  }
  for (const auto& warp : warps_) {
    live += static_cast<uint64_t>(std::popcount(warp->live()));
    waiting += static_cast<uint64_t>(std::popcount(warp->at_barrier()));
  }
  if (live == 0) return true;
  if (waiting == live) {
    release_barrier();
  } else if (!moved) {
    deadlock();
  }
  return false;
}

void Block::release_barrier() {
  std::set<int> lines;
  unsigned live = 0;
  for (const auto& warp : warps_) {
    live += static_cast<unsigned>(std::popcount(warp->live()));
    for_lanes(warp->at_barrier(), [&](unsigned lane) { lines.insert(warp->barrier_line(lane)); });
  }
  const auto fault = [&](const std::string& why) {
    throw Fault(Fault::Kind::failure, name() + ", PTX line " + list(lines) + " (bar.sync): " + why);
  };
  const unsigned all = shape_.block.count();
  if (live < all) {
    fault("of " + std::to_string(all) + " threads " + std::to_string(all - live) +
          " have ended before the barrier");
  }
  if (lines.size() > 1) fault("threads wait at different barriers");
  unsigned yes = 0;
  for (const auto& warp : warps_) yes += warp->votes();
  for (auto& warp : warps_) warp->pass_barrier(yes, all);
}

void Block::deadlock() const {
  std::vector<int> lines;
  for (const auto& warp : warps_) warp->add_places(lines);
  throw Fault(Fault::Kind::failure, name() +
                                        ": threads wait for each other for ever, in PTX lines " +
                                        list(std::set<int>(lines.begin(), lines.end())));
}

std::byte* Block::reach(const Warp& warp, Space space, uint64_t address, unsigned bytes,
                        Access access) {
  if (address % bytes != 0) {
    warp.fault("the address is no multiple of " + std::to_string(bytes),
               Fault::Kind::misaligned_address);
  }
  if (space == Space::param) {
    if (address + bytes > arguments_.size()) warp.fault("reads beyond the parameters");
    return arguments_.data() + address;
  }
  if (space == Space::shared) {
    return reach_shared(warp, static_cast<uint32_t>(address), bytes, access);
  }
  if (is_shared(space, address)) {
    return reach_shared(warp, address - kSharedWindow, bytes, access);
  }
  return reach_global(warp, address, bytes, access);
}

std::byte* Block::reach_shared(const Warp& warp, uint64_t offset, unsigned bytes, Access access) {
  if (offset + bytes > shared_.size()) {
    warp.fault("byte " + std::to_string(offset) + " of " + std::to_string(shared_.size()) +
                   " bytes of shared memory",
               Fault::Kind::illegal_address);
  }
  uint8_t* written = shared_written_.data() + offset;
  if (access != Access::write && std::memchr(written, 0, bytes)) {
    warp.fault("reads shared memory that nobody wrote, at byte " + std::to_string(offset));
  }
  if (access != Access::read) std::memset(written, 1, bytes);
  return shared_.data() + offset;
}

std::byte* Block::reach_global(const Warp& warp, uint64_t address, unsigned bytes, Access access) {
  DeviceMemory& memory = device_memory();
  if (!last_ || !last_->holds(address, bytes)) last_ = memory.at(address);
  if (!last_ || last_->freed || !last_->holds(address, bytes)) {
    warp.fault(memory.complaint(address, bytes), Fault::Kind::illegal_address);
  }
  const uint64_t offset = address - last_->address;
  uint8_t* written = last_->written.data() + offset;
  if (access != Access::write && std::memchr(written, 0, bytes)) {
    warp.fault("reads device memory that nobody wrote: " + memory.complaint(address, bytes));
  }
  if (access != Access::read) std::memset(written, 1, bytes);
  return last_->bytes.data() + offset;
}

void Block::forget_shared(uint32_t address, unsigned bytes) {
  std::fill_n(shared_.begin() + address, bytes, std::byte{0xff});
  std::fill_n(shared_written_.begin() + address, bytes, uint8_t{0});
}

uint64_t Block::special(Special special, unsigned thread) const {
  const Size &block = shape_.block, &grid = shape_.grid;
  switch (special) {
    case Special::tid_x:
      return thread % block.x;
    case Special::tid_y:
      return thread / block.x % block.y;
    case Special::tid_z:
      return thread / block.x / block.y;
    case Special::ntid_x:
      return block.x;
    case Special::ntid_y:
      return block.y;
    case Special::ntid_z:
      return block.z;
    case Special::ctaid_x:
      return index_.x;
    case Special::ctaid_y:
      return index_.y;
    case Special::ctaid_z:
      return index_.z;
    case Special::nctaid_x:
      return grid.x;
    case Special::nctaid_y:
      return grid.y;
    case Special::nctaid_z:
      return grid.z;
    case Special::laneid:
      return thread % kLanes;
  }
  return 0;
}

std::string Block::name() const {
  return readable(kernel_.name) + ", block " + std::to_string(index_.x) + "," +
         std::to_string(index_.y) + "," + std::to_string(index_.z);
}

void run_kernel(const Kernel& kernel, const LaunchShape& shape,
                const std::vector<std::byte>& arguments, const Schedule& schedule) {
  const unsigned count = shape.grid.count();
  std::vector<std::unique_ptr<Block>> running;
  unsigned begun = 0;
  const auto begin = [&](Block& block) {
    block.start(schedule.descending ? count - 1 - begun : begun);
    begun++;
  };
  while (running.size() < schedule.resident && begun < count) {
    running.push_back(std::make_unique<Block>(kernel, shape, arguments, schedule));
    begin(*running.back());
  }
  while (!running.empty()) {
    for (size_t i = 0; i < running.size();) {
      if (!running[i]->advance()) {
        i++;
      } else if (begun < count) {
        begin(*running[i]);
      } else {
        running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
  }
}

}  // namespace minicpm::ptx
