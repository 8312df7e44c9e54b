#include "native/engine/block_directory.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "native/engine/kv_cache.h"
#include "native/os/files.h"
#include "test/kernels/test.h"
#include "test/native/tiny_model.h"

namespace minicpm::test {
namespace {

namespace files = std::filesystem;

const KvLayout kLayout{.dtype = DType::f16, .layers = 1, .kv_heads = 1, .head_dim = 8};
const auto kFileBytes = static_cast<int64_t>(kLayout.block_bytes()) + 312;

/// A folder that is removed with the object.
struct TemporaryFolder {
  TemporaryFolder() {
    path = (files::temp_directory_path() / "minicpm-blocks-XXXXXX").string();
    if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("no folder");
  }
  ~TemporaryFolder() { files::remove_all(path); }
  std::string path;

  std::vector<files::path> blocks() const {
    std::vector<files::path> found;
    for (const auto& entry : files::recursive_directory_iterator(path)) {
      if (entry.path().extension() == ".kv") found.push_back(entry.path());
    }
    std::ranges::sort(found);
    return found;
  }
};

BlockName name_of(int32_t first) {
  BlockName name{.parent = run_key("a")};
  for (int32_t& token : name.tokens) token = first++;
  return name;
}

std::vector<std::byte> random_bytes(uint32_t seed, size_t count = 8192) {
  std::mt19937 random(seed);
  std::vector<std::byte> bytes(count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

std::vector<std::byte> content_of(const files::path& path) {
  std::vector<std::byte> bytes(files::file_size(path));
  std::ifstream(path, std::ios::binary)
      .read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

void replace(const files::path& path, const std::vector<std::byte>& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

/// Seals and offers `count` blocks in a new store, waits until they are on disk.
BlockDirectory::Status write_blocks(const DirectoryPlan& plan, int count, int first = 0) {
  BlockStore store(kLayout, 0);
  BlockDirectory directory(store, plan, "print");
  for (int i = first; i < first + count; ++i) {
    store.reserve(1);
    const BlockName name = name_of(1000 * i);
    KvBlock* block = store.seal(store.take(), name.parent, name.tokens);
    directory.offer(block);
    store.drop(block);
    directory.flush();
  }
  return directory.status();
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

int64_t prefill_cached(Sequence& sequence, std::vector<int32_t> tokens) {
  Waiter waiter;
  sequence.submit(PrefillWork{.tokens = std::move(tokens)}, waiter.listener());
  waiter.wait();
  return waiter.cached;
}

/// Runs `action` in a process of its own, which ends without destructors; its exit code.
template <typename Action>
int in_process(Action action) {
  const pid_t child = fork();
  if (child == 0) _exit(action());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST("a block file gives back its bytes, and is for its owner only") {
  const TemporaryFolder folder;
  const std::vector<std::byte> bytes = random_bytes(1);
  CHECK(write_block_file(folder.path, name_of(5), bytes).empty());
  std::vector<std::byte> found(bytes.size());
  CHECK(read_block_file(folder.path, name_of(5), found) == BlockFile::read);
  CHECK(found == bytes);
  CHECK(read_block_file(folder.path, name_of(6), found) == BlockFile::missing);
  struct stat status;
  CHECK(stat(folder.blocks()[0].c_str(), &status) == 0 && (status.st_mode & 0777) == 0600);
  CHECK(files::directory_iterator(folder.path) != files::directory_iterator());
}

TEST("a changed byte anywhere makes a block file wrong, and it is removed") {
  const TemporaryFolder folder;
  const std::vector<std::byte> bytes = random_bytes(1, 4096);
  CHECK(write_block_file(folder.path, name_of(5), bytes).empty());
  const files::path path = folder.blocks()[0];
  const std::vector<std::byte> whole = content_of(path);
  std::mt19937 random(2);
  std::vector<std::byte> found(bytes.size());
  for (size_t i = 0; i < 1000; ++i) {
    std::vector<std::byte> changed = whole;
    const size_t at = i < 400 ? i : random() % whole.size();
    changed[at] ^= static_cast<std::byte>(1 + random() % 255);
    replace(path, changed);
    CHECK(read_block_file(folder.path, name_of(5), found) == BlockFile::wrong);
    CHECK(!files::exists(path));
  }
}

TEST("a block file that was cut, has grown, or is another's is wrong") {
  const TemporaryFolder folder;
  std::vector<std::byte> bytes = random_bytes(1, 4096);
  CHECK(write_block_file(folder.path, name_of(5), bytes).empty());
  const files::path path = folder.blocks()[0];
  const std::vector<std::byte> whole = content_of(path);
  for (const size_t size : {size_t{0}, size_t{7}, size_t{100}, size_t{312}, whole.size() - 1}) {
    replace(path, {whole.begin(), whole.begin() + static_cast<long>(size)});
    CHECK(read_block_file(folder.path, name_of(5), bytes) == BlockFile::wrong);
  }
  std::vector<std::byte> grown = whole;
  grown.push_back(std::byte{0});
  replace(path, grown);
  CHECK(read_block_file(folder.path, name_of(5), bytes) == BlockFile::wrong);
  replace(block_path(folder.path, name_of(6).key()), whole);
  CHECK(read_block_file(folder.path, name_of(6), bytes) == BlockFile::wrong);
  files::create_directory(path);
  CHECK(read_block_file(folder.path, name_of(5), bytes) == BlockFile::wrong);
}

TEST("the directory keeps its budget, the longest unused blocks go first") {
  const TemporaryFolder folder;
  const DirectoryPlan plan{folder.path, 20 * kFileBytes};
  CHECK(write_blocks(plan, 18).written == 18);
  for (int i = 0; i < 18; ++i) {
    const auto age = std::chrono::hours(i == 3 ? 0 : 100 - i);
    files::last_write_time(block_path(folder.path + "/print", name_of(1000 * i).key()),
                           files::file_time_type::clock::now() - age);
  }
  CHECK(write_blocks(plan, 12, 18).written == 12);
  CHECK(folder.blocks().size() <= 20);
  CHECK(folder.blocks().size() >= 16);
  CHECK(files::exists(block_path(folder.path + "/print", name_of(3000).key())));
  CHECK(!files::exists(block_path(folder.path + "/print", name_of(0).key())));
}

TEST("a block that is offered again is not written again, but counts as used") {
  const TemporaryFolder folder;
  const DirectoryPlan plan{folder.path, 1 << 30};
  CHECK(write_blocks(plan, 1).written == 1);
  const auto long_ago = files::file_time_type::clock::now() - std::chrono::hours(100);
  files::last_write_time(folder.blocks()[0], long_ago);
  CHECK(write_blocks(plan, 1).written == 0);
  CHECK(files::last_write_time(folder.blocks()[0]) > long_ago + std::chrono::hours(99));
}

TEST("files that are not ours stay, whatever the budget") {
  const TemporaryFolder folder;
  write_blocks({folder.path, 1 << 30}, 2);
  for (const char* name : {"/mine.kv", "/print/mine.kv", "/print/notes.txt"}) {
    replace(folder.path + name, random_bytes(1));
  }
  CHECK(prune_block_files(folder.path, 0) == 0);
  CHECK(folder.blocks().size() == 2);
  CHECK(files::exists(folder.path + "/print/notes.txt"));
}

TEST("unfinished files of processes that are gone are removed, those of the living stay") {
  const TemporaryFolder folder;
  write_blocks({folder.path, 1 << 30}, 1);
  const int gone = in_process([] { return 0; });
  CHECK(gone == 0);
  const pid_t child = fork();
  if (child == 0) _exit(0);
  waitpid(child, nullptr, 0);
  const auto old = files::file_time_type::clock::now() - std::chrono::hours(1);
  const auto unfinished = [&](int id) {
    const std::string path = folder.path + "/print/.unfinished-" + std::to_string(id) + "-1";
    replace(path, {std::byte{1}});
    files::last_write_time(path, old);
    return path;
  };
  const std::string dead = unfinished(child), living = unfinished(getpid());
  prune_block_files(folder.path, 1 << 30);
  CHECK(!files::exists(dead));
  CHECK(files::exists(living));
  CHECK(folder.blocks().size() == 1);
}

TEST("a directory that is cleared while it is in use is filled again") {
  const TemporaryFolder folder;
  BlockStore store(kLayout, 0);
  BlockDirectory directory(store, {folder.path, 1 << 30}, "print");
  files::remove_all(folder.path + "/print");
  store.reserve(1);
  KvBlock* block = store.seal(store.take(), name_of(0).parent, name_of(0).tokens);
  directory.offer(block);
  store.drop(block);
  directory.flush();
  CHECK(directory.status().written == 1);
  CHECK(directory.status().problem.empty());
}

TEST("where no file can be written a run goes on, and the status says why") {
  const TemporaryFolder folder;
  const std::string occupied = folder.path + "/occupied";
  replace(occupied, {std::byte{1}});
  const BlockDirectory::Status status = write_blocks({occupied, 1 << 30}, 2);
  CHECK(status.written == 0);
  CHECK(status.problem.find(occupied) != std::string::npos);
}

TEST("a disk that is full leaves whole files and no halves") {
  const TemporaryFolder folder;
  const int code = in_process([&] {
    signal(SIGXFSZ, SIG_IGN);
    write_blocks({folder.path, 1 << 30}, 2);
    const rlimit limit{1000, 1000};  // bytes of a file: writing a third fails in the middle
    setrlimit(RLIMIT_FSIZE, &limit);
    const BlockDirectory::Status status = write_blocks({folder.path, 1 << 30}, 3);
    return status.written == 0 && !status.problem.empty() ? 0 : 1;
  });
  CHECK(code == 0);
  CHECK(folder.blocks().size() == 2);
  for (const auto& entry : files::directory_iterator(folder.path + "/print")) {
    CHECK(entry.path().extension() == ".kv");
  }
  std::vector<std::byte> bytes(kLayout.block_bytes());
  CHECK(read_block_file(folder.path + "/print", name_of(0), bytes) == BlockFile::read);
}

TEST("processes that write, read and prune one directory at once never see a wrong block") {
  const TemporaryFolder folder;
  const auto work = [&](int which) {
    BlockStore store(kLayout, 0);
    BlockDirectory directory(store, {folder.path, 10 * kFileBytes}, "print");
    std::vector<std::byte> bytes(kLayout.block_bytes());
    std::mt19937 random(static_cast<uint32_t>(which));
    for (int i = 0; i < 300; ++i) {
      const BlockName name = name_of(static_cast<int32_t>(1000 * (random() % 20)));
      store.reserve(1);
      KvBlock* block = store.take();
      std::memset(block->memory.data(), name.tokens[0] / 1000, block->memory.size());
      block = store.seal(block, name.parent, name.tokens);
      directory.offer(block);
      store.drop(block);
      if (i % 50 == 0) directory.flush();  // its writer may not have had a processor yet
      const BlockName other = name_of(static_cast<int32_t>(1000 * (random() % 20)));
      if (directory.read(other, bytes) && bytes[77] != std::byte(other.tokens[0] / 1000)) return 1;
    }
    directory.flush();
    const BlockDirectory::Status status = directory.status();
    return status.wrong == 0 && status.problem.empty() && status.read > 0 ? 0 : 2;
  };
  std::vector<pid_t> children;
  for (int i = 0; i < 3; ++i) {
    const pid_t child = fork();
    if (child == 0) _exit(work(i));
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  CHECK(prune_block_files(folder.path, 1 << 30) <= 14 * kFileBytes);
}

TEST_ON_DEVICES("another process goes on from the blocks on disk with the same bits") {
  const TemporaryFolder folder;
  const std::vector<int32_t> tokens = random_tokens(300, 4);
  const auto load = [&](const std::string& fingerprint, const std::string& path) {
    TinyModel tiny(device, 1);
    tiny.plan.directory = {path, 1 << 30};
    tiny.plan.fingerprint = fingerprint;
    tiny.model = tiny.load();
    return tiny;
  };
  CHECK(in_process([&] {
          TinyModel tiny = load("a", folder.path);
          const auto sequence = tiny.model->create_sequence(512);
          if (prefill_cached(*sequence, tokens) != 0) return 1;
          tiny.model->directory()->flush();
          return tiny.model->directory()->status().written == 4 ? 0 : 2;
        }) == 0);
  TinyModel plain = load("a", "");
  const auto expected = plain.model->create_sequence(512);
  prefill_cached(*expected, tokens);

  TinyModel again = load("a", folder.path);
  const auto sequence = again.model->create_sequence(512);
  CHECK(prefill_cached(*sequence, tokens) == 256);
  CHECK(again.model->directory()->status().read == 4);
  CHECK(same_bits(sequence->logits(), expected->logits()));
  CHECK(decode(*sequence, 100) == decode(*expected, 100));
  CHECK(again.model->store().usage().promised == 8 - 7);

  TinyModel other = load("b", folder.path);
  const auto foreign = other.model->create_sequence(512);
  CHECK(prefill_cached(*foreign, tokens) == 0);
}

TEST_ON_DEVICES("a begun block gives way to one on disk, and a wrong one is computed again") {
  const TemporaryFolder folder;
  const std::vector<int32_t> tokens = random_tokens(128, 4);
  TinyModel tiny(device, 1);
  tiny.plan.directory = {folder.path, 1 << 30};
  tiny.plan.cache_bytes = 0;
  tiny.model = tiny.load();
  std::vector<float> expected;
  {
    const auto first = tiny.model->create_sequence(128);
    prefill_cached(*first, tokens);
    expected = first->logits();
    tiny.model->directory()->flush();
  }
  {
    const auto second = tiny.model->create_sequence(128);
    CHECK(prefill_cached(*second, {tokens.begin(), tokens.begin() + 30}) == 0);
    CHECK(prefill_cached(*second, {tokens.begin() + 30, tokens.end()}) == 34);
    CHECK(same_bits(second->logits(), expected));
  }
  tiny.model->directory()->flush();  // the writer holds what it was offered
  CHECK(tiny.model->store().usage().promised == 0);
  for (const files::path& path : folder.blocks()) {
    std::vector<std::byte> bytes = content_of(path);
    bytes[5000] ^= std::byte{1};
    replace(path, bytes);
  }
  const auto third = tiny.model->create_sequence(128);
  CHECK(prefill_cached(*third, tokens) == 0);
  CHECK(same_bits(third->logits(), expected));
  CHECK(tiny.model->directory()->status().wrong == 1);
}

TEST_ON_DEVICES("made-up blocks of a bench are not written") {
  const TemporaryFolder folder;
  TinyModel tiny(device);
  tiny.plan.directory = {folder.path, 1 << 30};
  tiny.model = tiny.load();
  const auto filled = tiny.model->create_sequence(256);
  Waiter waiter;
  filled->submit(FillWork{.length = 128}, waiter.listener());
  waiter.wait();
  prefill(*filled, std::vector<int32_t>(70, 0));
  tiny.model->directory()->flush();
  CHECK(folder.blocks().empty());
}

TEST_ON_DEVICES("a saved sequence goes on from its folder, linked to what was saved before") {
  const TemporaryFolder first, second;
  const std::vector<int32_t> tokens = random_tokens(200, 4);
  std::vector<float> expected;
  {
    TinyModel tiny(device, 1);
    const auto sequence = tiny.model->create_sequence(512);
    prefill(*sequence, {tokens.begin(), tokens.begin() + 130});
    Waiter saved, again;
    sequence->submit(SaveWork{.folder = first.path}, saved.listener());
    CHECK(saved.wait() == Outcome::done);
    CHECK(first.blocks().size() == 2);
    prefill(*sequence, {tokens.begin() + 130, tokens.end()});
    sequence->submit(SaveWork{.folder = second.path, .previous = first.path}, again.listener());
    CHECK(again.wait() == Outcome::done);
    CHECK(second.blocks().size() == 3);
    for (const files::path& path : first.blocks()) {
      CHECK(files::equivalent(path, files::path(second.path) / path.filename()));
    }
    expected = sequence->logits();
  }
  TinyModel tiny(device, 1);
  const auto sequence = tiny.model->create_sequence(512);
  Waiter waiter;
  sequence->submit(PrefillWork{.tokens = tokens, .folder = second.path}, waiter.listener());
  waiter.wait();
  CHECK(waiter.cached == 192);
  CHECK(same_bits(sequence->logits(), expected));
  Waiter failing;
  sequence->submit(SaveWork{.folder = second.path + "/nowhere"}, failing.listener());
  CHECK_THROWS(ErrorCode::kStorage, failing.wait());
}

}  // namespace
}  // namespace minicpm::test
