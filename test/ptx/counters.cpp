#include "test/ptx/counters.h"

#include <algorithm>
#include <vector>

#include "test/ptx/memory.h"
#include "test/ptx/warp.h"

namespace minicpm::ptx {

Counters counters;
bool counting = false;

namespace {

constexpr unsigned kSector = 32, kBank = 4, kBanks = 32;

/// Sorted, each once: units of `unit` bytes that the lanes' `bytes` lie in.
std::vector<uint64_t> units_of(const uint64_t* addresses, uint32_t active, unsigned bytes,
                               unsigned unit) {
  std::vector<uint64_t> units;
  for_lanes(active, [&](unsigned lane) {
    const uint64_t last = (addresses[lane] + bytes - 1) / unit;
    for (uint64_t at = addresses[lane] / unit; at <= last; at++) units.push_back(at);
  });
  std::sort(units.begin(), units.end());
  units.erase(std::unique(units.begin(), units.end()), units.end());
  return units;
}

}  // namespace

void count_global(const uint64_t* addresses, uint32_t active, unsigned bytes, bool loads) {
  const auto sectors = units_of(addresses, active, bytes, kSector);
  // All addresses are multiples of `bytes`.
  const size_t different = units_of(addresses, active, bytes, bytes).size() * bytes;
  const uint64_t asked = static_cast<uint64_t>(std::popcount(active)) * bytes;
  counters.global_accesses++;
  counters.global_sectors += sectors.size();
  counters.global_ideal += (different + kSector - 1) / kSector;
  if (loads) {
    counters.loaded_bytes += asked;
    if (bytes == 16) counters.loaded_vector_bytes += asked;
  }
  for (size_t i = 0; i < sectors.size(); i++) {
    Allocation* allocation = device_memory().at(sectors[i] * kSector + kSector - 1);
    if (!allocation) allocation = device_memory().at(sectors[i] * kSector);
    if (allocation) {
      (loads ? allocation->traffic.loaded_sectors : allocation->traffic.stored_sectors)++;
    }
  }
  for_lanes(active, [&](unsigned lane) {
    Allocation* allocation = device_memory().at(addresses[lane]);
    if (!allocation) return;
    Traffic& traffic = allocation->traffic;
    (loads ? traffic.loaded_bytes : traffic.stored_bytes) += bytes;
    if (loads && bytes == 16) traffic.vector_bytes += bytes;
  });
}

void count_shared(const uint64_t* addresses, uint32_t active, unsigned bytes) {
  // Lanes that are served together: 128 bytes at a time.
  const unsigned together = bytes >= 16 ? 8 : bytes == 8 ? 16 : kLanes;
  counters.shared_accesses++;
  for (unsigned first = 0; first < kLanes; first += together) {
    const uint32_t lanes = together == kLanes ? active : active & ((1u << together) - 1) << first;
    if (!lanes) continue;
    unsigned of_bank[kBanks] = {};
    for (uint64_t word : units_of(addresses, lanes, bytes, kBank)) of_bank[word % kBanks]++;
    counters.shared_wavefronts += *std::max_element(of_bank, of_bank + kBanks);
    counters.shared_ideal++;
  }
}

std::string Counters::report() const {
  const auto line = [](const std::string& name, uint64_t count, const std::string& more) {
    const std::string number = std::to_string(count);
    return std::string(number.size() < 14 ? 14 - number.size() : 0, ' ') + number + "  " + name +
           more + "\n";
  };
  const auto of = [](uint64_t ideal) { return ", ideal " + std::to_string(ideal); };
  std::string text =
      line("warp instructions", instructions, "") + line("lanes of them", lane_instructions, "") +
      line("divergent branches", divergent_branches, "") +
      line("global sectors", global_sectors, of(global_ideal)) +
      line("bytes loaded", loaded_bytes, ", by 16 a lane " + std::to_string(loaded_vector_bytes)) +
      line("shared wavefronts", shared_wavefronts, of(shared_ideal));
  std::vector<std::pair<uint64_t, std::string>> opcodes;
  for (const auto& [name, count] : by_opcode) opcodes.emplace_back(count, name);
  std::sort(opcodes.rbegin(), opcodes.rend());
  for (const auto& [count, name] : opcodes) text += line(name, count, "");
  return text;
}

}  // namespace minicpm::ptx
