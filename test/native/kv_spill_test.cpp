// Blocks on disk beside blocks in memory: the same bits, whatever the memory holds.
#include "native/engine/kv_spill.h"

#include <signal.h>
#include <sys/resource.h>

#include <cstring>
#include <filesystem>
#include <thread>

#include "native/engine/kv_cache.h"
#include "test/kernels/test.h"
#include "test/native/tiny_model.h"

namespace minicpm::test {
namespace {

namespace files = std::filesystem;

/// A query attends to 6 blocks at most.
const SparseRule kRule{
    .init_blocks = 1, .local_blocks = 1, .top_k = 5, .dense_len = 0, .coarse = true};
constexpr int kTokens = 1400;  // 22 blocks

class Folder {
 public:
  Folder() {
    std::string path = (files::temp_directory_path() / "minicpm-spill-XXXXXX").string();
    if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("cannot make " + path);
    path_ = path;
  }
  ~Folder() { files::remove_all(path_); }
  const std::string& path() const { return path_; }
  bool empty() const { return files::is_empty(path_); }

 private:
  std::string path_;
};

KvLayout layout_of(const ModelPlan& plan) {
  return {plan.kv_type, plan.config.layers, plan.config.kv_heads, plan.config.head_dim, true};
}

/// The model of `tiny` with `blocks` sealed blocks in memory.
std::shared_ptr<Model> spilled(const TinyModel& tiny, const Folder& folder, int64_t blocks) {
  ModelPlan plan = tiny.plan;
  plan.spill = {folder.path(), blocks * static_cast<int64_t>(layout_of(plan).heads_bytes())};
  return std::make_shared<Model>(plan, nullptr);
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

std::vector<int32_t> part(const std::vector<int32_t>& tokens, int first, int last) {
  return {tokens.begin() + first, tokens.begin() + last};
}

}  // namespace

TEST("with any memory and chunks, spilled blocks give the bits of blocks in memory") {
  for (const char* device : {"reference", "cpu"}) {
    const bool slow = std::string(device) == "reference";
    const int count = slow ? 600 : kTokens;
    TinyModel tiny(device, 2, kRule);
    const std::vector<int32_t> tokens = random_tokens(count, 3);
    const auto plain = tiny.model->create_sequence(count + 100);
    prefill(*plain, tokens);
    const std::vector<float> expected = plain->logits();
    const std::vector<int32_t> answer = decode(*plain, slow ? 5 : 90);
    for (const int64_t blocks : {6, 7, 11, 100}) {
      for (const int chunk : {count, 100, 1}) {
        if (chunk == 1 && (slow || blocks != 7)) continue;
        Folder folder;
        const auto model = spilled(tiny, folder, blocks);
        const auto sequence = model->create_sequence(count + 100);
        for (int at = 0; at < count; at += chunk) {
          prefill(*sequence, part(tokens, at, std::min(at + chunk, count)));
        }
        CHECK(same_bits(sequence->logits(), expected));
        CHECK(decode(*sequence, static_cast<int64_t>(answer.size())) == answer);
        const KvSpill::Status status = model->store().spill()->status();
        CHECK((status.misses == 0) == (blocks * kBlockTokens >= count));
        CHECK(status.hits > 0 && status.bytes_written > 0);
      }
    }
  }
}

TEST("int8 keys and values spill with the same bits, their scales stay") {
  const SparseRule rule = kRule;
  TinyModel tiny("cpu", 2, rule);
  Folder folder;
  ModelPlan plan = tiny.plan;
  plan.config.head_dim = 32;
  plan.config.heads = 2;
  plan.config.kv_heads = 1;
  plan.kv_type = DType::i8;
  const auto plain = std::make_shared<Model>(plan, nullptr);
  plan.spill = {folder.path(), 7 * static_cast<int64_t>(layout_of(plan).heads_bytes())};
  const auto model = std::make_shared<Model>(plan, nullptr);
  const std::vector<int32_t> tokens = random_tokens(kTokens, 9);
  const auto a = plain->create_sequence(kTokens + 10), b = model->create_sequence(kTokens + 10);
  prefill(*a, tokens);
  prefill(*b, tokens);
  CHECK(same_bits(a->logits(), b->logits()));
  CHECK(decode(*a, 10) == decode(*b, 10));
  CHECK(model->store().spill()->status().misses > 0);
}

TEST("forks, cut sequences and several at once spill with the same bits") {
  TinyModel tiny("cpu", 2, kRule);
  Folder folder;
  const auto model = spilled(tiny, folder, 11);
  const std::vector<int32_t> tokens = random_tokens(kTokens, 4), other = random_tokens(kTokens, 5);
  const auto whole = [&](Model& of, const std::vector<int32_t>& first, int cut) {
    const auto sequence = of.create_sequence(kTokens + 100);
    prefill(*sequence, first);
    const auto fork = sequence->fork();
    sequence->truncate(cut);  // within a block that has gone to disk
    prefill(*sequence, part(other, cut, 1000));
    std::vector<Waiter> waiters(2);
    sequence->submit(DecodeWork{.count = 30}, waiters[0].listener());
    fork->submit(DecodeWork{.count = 30}, waiters[1].listener());
    for (Waiter& waiter : waiters) waiter.wait();
    std::vector<int32_t> made = waiters[0].tokens;
    made.insert(made.end(), waiters[1].tokens.begin(), waiters[1].tokens.end());
    return std::pair{made, fork->logits()};
  };
  for (const int cut : {130, 320, 5}) {
    const auto expected = whole(*tiny.model, tokens, cut), found = whole(*model, tokens, cut);
    CHECK(expected.first == found.first);
    CHECK(same_bits(expected.second, found.second));
  }
  CHECK(model->store().spill()->status().misses > 0);
}

TEST("spilled blocks are saved and offered to a directory whole, and read back from both") {
  TinyModel tiny("cpu", 1, kRule);
  const std::vector<int32_t> tokens = random_tokens(kTokens, 6);
  const auto plain = tiny.model->create_sequence(kTokens + 10);
  prefill(*plain, tokens);
  Folder folder, saved, directory;
  ModelPlan plan = tiny.plan;
  plan.directory = {directory.path(), 1 << 30};
  plan.spill = {folder.path(), 6 * static_cast<int64_t>(layout_of(plan).heads_bytes())};
  {
    const auto model = std::make_shared<Model>(plan, nullptr);
    const auto sequence = model->create_sequence(kTokens + 10);
    prefill(*sequence, tokens);
    Waiter waiter;
    sequence->submit(SaveWork{.folder = saved.path()}, waiter.listener());
    waiter.wait();
  }
  const auto resumed = [&](const ModelPlan& with, const std::string& from) {
    const auto model = std::make_shared<Model>(with, nullptr);
    const auto sequence = model->create_sequence(kTokens + 10);
    Waiter waiter;
    sequence->submit(PrefillWork{.tokens = tokens, .folder = from}, waiter.listener());
    waiter.wait();
    CHECK(waiter.cached > kTokens - 128);
    CHECK(same_bits(sequence->logits(), plain->logits()));
  };
  resumed(plan, "");
  plan.directory = {};
  resumed(plan, saved.path());
  plan.spill = {};
  resumed(plan, saved.path());
}

TEST("a spill's file has no name: nothing is left in its folder, whatever ends the process") {
  TinyModel tiny("cpu", 1, kRule);
  Folder folder;
  const auto model = spilled(tiny, folder, 7);
  const auto sequence = model->create_sequence(kTokens);
  prefill(*sequence, random_tokens(kTokens - 10, 7));
  CHECK(model->store().spill()->status().file_bytes > 0);
  CHECK(folder.empty());
}

TEST("a full disk fails the work that needs it, and the sequence goes on with what it held") {
  TinyModel tiny("cpu", 1, kRule);
  Folder folder;
  const auto model = spilled(tiny, folder, 7);
  const auto block = static_cast<int64_t>(layout_of(tiny.plan).heads_bytes());
  const std::vector<int32_t> tokens = random_tokens(kTokens, 8);
  const auto plain = tiny.model->create_sequence(kTokens), full = model->create_sequence(kTokens);
  prefill(*full, part(tokens, 0, 900));  // 15 blocks
  {
    signal(SIGXFSZ, SIG_IGN);
    rlimit before, limit;
    getrlimit(RLIMIT_FSIZE, &before);
    limit = {static_cast<rlim_t>(15 * block + 100), before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    CHECK_THROWS(ErrorCode::kStorage, prefill(*full, part(tokens, 900, kTokens)));
    CHECK(full->length() == 900);
    CHECK_THROWS(ErrorCode::kStorage, full->fork());
    prefill(*full, part(tokens, 900, 950));  // the 15th block has room
    setrlimit(RLIMIT_FSIZE, &before);
  }
  prefill(*full, part(tokens, 950, kTokens));
  prefill(*plain, tokens);
  CHECK(same_bits(full->logits(), plain->logits()));
}

TEST(
    "a spill is refused under dense attention, and where memory does not hold one query's blocks") {
  TinyModel sparse("cpu", 1, kRule), dense("cpu");
  Folder folder;
  CHECK_THROWS(ErrorCode::kState, spilled(dense, folder, 100));
  CHECK_THROWS(ErrorCode::kOutOfMemory, spilled(sparse, folder, 5));
  ModelPlan plan = sparse.plan;
  const KvLayout layout = layout_of(plan);
  const int64_t all = plan_memory(plan, 64 * 1000, 1).kv;
  CHECK(all == 1000 * static_cast<int64_t>(layout.block_bytes()));
  plan.spill = {folder.path(), 10 * static_cast<int64_t>(layout.heads_bytes())};
  const int64_t spilled_bytes = plan_memory(plan, 64 * 1000, 1).kv;
  CHECK(spilled_bytes ==
        1000 * KvSpill::pinned_bytes(layout) + 19 * static_cast<int64_t>(layout.heads_bytes()));
  plan.spill.path = "/dev/null/folder";
  CHECK_THROWS(ErrorCode::kStorage, Model(plan, nullptr));
}

}  // namespace minicpm::test
