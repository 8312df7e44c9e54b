#include "native/engine/block_file.h"

#include <atomic>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "native/os/files.h"

namespace minicpm {
namespace {

/// Counts up with every change of KvLayout or of this file's format.
constexpr char kMagic[8] = {'m', 'c', 'p', 'm', 'k', 'v', '0', '3'};

struct Header {
  char magic[8];
  ChainKey parent, key;
  int32_t tokens[kBlockTokens];
  uint64_t bytes;
  uint64_t checksum;  // of the header with 0 here, then of the bytes
};
static_assert(sizeof(Header) == 8 + 2 * 16 + 4 * kBlockTokens + 16);

/// A 64-bit checksum. Each step is a bijection of the state for a given word and of the word for a
/// given state, so that no single changed word goes unseen; four lanes, at memory speed.
uint64_t checksum(uint64_t seed, std::span<const std::byte> bytes) {
  constexpr uint64_t kOdd = 0x9e3779b97f4a7c15;
  uint64_t lanes[4] = {seed, seed + 1, seed + 2, seed + 3};
  const auto step = [](uint64_t lane, uint64_t word) {
    lane = (lane ^ word) * kOdd;
    return lane ^ (lane >> 32);
  };
  size_t at = 0;
  for (; at + 32 <= bytes.size(); at += 32) {
    uint64_t words[4];
    std::memcpy(words, bytes.data() + at, 32);
    for (int i = 0; i < 4; ++i) lanes[i] = step(lanes[i], words[i]);
  }
  uint64_t rest[4] = {};
  if (at < bytes.size()) std::memcpy(rest, bytes.data() + at, bytes.size() - at);
  uint64_t sum = bytes.size();
  for (int i = 0; i < 4; ++i) sum = step(sum, step(lanes[i], rest[i]));
  return sum;
}

Header header_of(const BlockName& name, std::span<const std::byte> bytes) {
  Header header{};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.parent = name.parent;
  header.key = name.key();
  std::memcpy(header.tokens, name.tokens.data(), sizeof(header.tokens));
  header.bytes = bytes.size();
  header.checksum = checksum(checksum(0, std::as_bytes(std::span(&header, 1))), bytes);
  return header;
}

/// Whether an open file is that block's; fills `bytes`.
bool holds(os::File& file, const BlockName& name, std::span<std::byte> bytes) {
  Header found;
  if (file.size() != static_cast<int64_t>(sizeof(found) + bytes.size()) ||
      !file.read(std::as_writable_bytes(std::span(&found, 1))) || !file.read(bytes)) {
    return false;
  }
  const Header expected = header_of(name, bytes);
  return std::memcmp(&found, &expected, sizeof(found)) == 0;
}

constexpr char kUnfinished[] = ".unfinished-";

}  // namespace

std::string block_path(const std::string& folder, const ChainKey& key) {
  char name[40];
  std::snprintf(name, sizeof(name), "/%016llx%016llx.kv", static_cast<unsigned long long>(key.high),
                static_cast<unsigned long long>(key.low));
  return folder + name;
}

bool names_block(const std::string& file_name) {
  return file_name.size() == 35 && file_name.ends_with(".kv") &&
         file_name.find_first_not_of("0123456789abcdef") == 32;
}

std::string write_block_file(const std::string& folder, const BlockName& name,
                             std::span<const std::byte> bytes) {
  static std::atomic<uint64_t> unique{0};
  const Header header = header_of(name, bytes);
  const std::string beside = folder + "/" + kUnfinished + std::to_string(os::process_id()) + "-" +
                             std::to_string(++unique);
  std::string problem;
  {
    os::File file = os::File::create(beside);
    if (!file.ok()) return os::last_error();
    if (!file.write(std::as_bytes(std::span(&header, 1))) || !file.write(bytes)) {
      problem = os::last_error();
    }
  }
  std::error_code error;
  if (problem.empty()) {
    std::filesystem::rename(beside, block_path(folder, header.key), error);
    if (error) problem = error.message();
  }
  if (!problem.empty()) std::filesystem::remove(beside, error);
  return problem;
}

bool link_block_file(const std::string& folder, const std::string& from, const ChainKey& key) {
  std::error_code error;
  std::filesystem::create_hard_link(block_path(from, key), block_path(folder, key), error);
  return !error;
}

BlockFile read_block_file(const std::string& folder, const BlockName& name,
                          std::span<std::byte> bytes) {
  const std::string path = block_path(folder, name.key());
  os::File file = os::File::open(path);
  if (!file.ok()) return BlockFile::missing;
  if (holds(file, name, bytes)) return BlockFile::read;
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  return BlockFile::wrong;
}

int unfinished_by(const std::string& file_name) {
  int id = 0;
  return std::sscanf(file_name.c_str(), ".unfinished-%d-", &id) == 1 ? id : 0;
}

}  // namespace minicpm
