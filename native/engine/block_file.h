// One sealed KV block as a file: a header that says whose it is, then its bytes.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "native/engine/block_store.h"

namespace minicpm {

/// Which block a file holds. All of it is compared when the file is read.
struct BlockName {
  ChainKey parent;  // of the prefix before it, run fingerprint and all
  std::array<int32_t, kBlockTokens> tokens;

  ChainKey key() const { return extend(parent, tokens); }
};

/// `<folder>/<32 hex digits of the key>.kv`
std::string block_path(const std::string& folder, const ChainKey& key);

/// Whether a file is named like that: nothing else is ever removed.
bool names_block(const std::string& file_name);

/// Writes under another name in the same folder, then renames: readers see the whole file or none.
/// Returns why it could not be written, or "".
std::string write_block_file(const std::string& folder, const BlockName& name,
                             std::span<const std::byte> bytes);

/// Has `folder` hold the file of another folder, without a copy. False where that has none, or the
/// system does not link.
bool link_block_file(const std::string& folder, const std::string& from, const ChainKey& key);

enum class BlockFile { read, missing, wrong };

/// Fills `bytes` with the block of that name. `wrong`: there was a file, and it was cut, changed,
/// or another block's; it is removed, and `bytes` may have been written.
BlockFile read_block_file(const std::string& folder, const BlockName& name,
                          std::span<std::byte> bytes);

/// Whose unfinished file this is: the id of the process that writes it, or 0 where it is no such
/// name.
int unfinished_by(const std::string& file_name);

}  // namespace minicpm
