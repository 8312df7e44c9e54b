// Contract 1 as a property: whatever runs beside a sequence, however its tokens came, its logits
// are the same bits.
#include <cstring>
#include <random>

#include "test/kernels/test.h"
#include "test/native/tiny_model.h"

namespace minicpm::test {
namespace {

constexpr int kSchedules = kSanitized ? 30 : 500;
constexpr int kCapacity = 256;

/// One sequence of a schedule and the calls it still waits for.
struct Player {
  std::shared_ptr<Sequence> sequence;
  std::vector<std::unique_ptr<Waiter>> waiting;
  int64_t expected_length = 0;  // once all it waits for is done
  bool has_pending = false;

  void submit_prefill(std::vector<int32_t> tokens) {
    expected_length += static_cast<int64_t>(tokens.size());
    has_pending = false;
    waiting.push_back(std::make_unique<Waiter>());
    sequence->submit(PrefillWork{.tokens = std::move(tokens)}, waiting.back()->listener());
  }

  void submit_decode(int64_t count, float temperature) {
    expected_length += count - (has_pending ? 0 : 1);
    has_pending = true;
    waiting.push_back(std::make_unique<Waiter>());
    sequence->submit(
        DecodeWork{.count = count, .sampling = {.temperature = temperature, .seed = 7}},
        waiting.back()->listener());
  }

  void wait() {
    for (const auto& waiter : waiting) waiter->wait();
    waiting.clear();
  }
};

/// The logits behind `tokens`, from a model that has never seen anything else.
std::vector<float> alone(Model& model, const std::vector<int32_t>& tokens) {
  const auto sequence = model.create_sequence(kCapacity);
  prefill(*sequence, tokens);
  return sequence->logits();
}

void run_schedules(const std::string& device, std::optional<SparseRule> sparse) {
  TinyModel shared(device, 2, sparse), other(device, 1, sparse);
  other.plan.cache_bytes = 0;
  const std::shared_ptr<Model> fresh = other.load();
  const int schedules = device == "cpu" ? kSchedules : kSchedules / 30;
  const std::vector<int32_t> common = random_tokens(150, 1);  // several prompts begin with it

  for (int schedule = 0; schedule < schedules; ++schedule) {
    std::mt19937 random(static_cast<uint32_t>(schedule));
    const auto below = [&](int count) {
      return static_cast<int>(random() % static_cast<uint32_t>(count));
    };
    std::vector<Player> players;
    for (int step = 0; step < 14; ++step) {
      const bool joins = players.empty() || (players.size() < 8 && below(3) == 0);
      if (joins) {
        players.push_back({shared.model->create_sequence(kCapacity), {}});
        std::vector<int32_t> prompt(common.begin(), common.begin() + below(130));
        const std::vector<int32_t> own = random_tokens(1 + below(20), random());
        prompt.insert(prompt.end(), own.begin(), own.end());
        players.back().submit_prefill(prompt);
        continue;
      }
      Player& player = players[static_cast<size_t>(below(static_cast<int>(players.size())))];
      if (player.expected_length > kCapacity - 40) continue;
      switch (below(6)) {
        case 0:
          player.submit_prefill(random_tokens(1 + below(30), random()));
          break;
        case 1: {  // goes on from a place before its end
          player.wait();
          const int length = below(static_cast<int>(player.sequence->length()));
          player.sequence->truncate(length);
          player.expected_length = length;
          player.submit_prefill(random_tokens(1 + below(30), random()));
          break;
        }
        case 2: {
          if (players.size() >= 8) break;
          player.wait();
          Player child{player.sequence->fork(), {}, player.expected_length, player.has_pending};
          child.submit_decode(1 + below(5), 1);
          players.push_back(std::move(child));
          break;
        }
        case 3: {  // leaves, while it may be running
          player.sequence->dispose();
          player.wait();
          players.erase(players.begin() + (&player - players.data()));
          break;
        }
        default:
          player.submit_decode(1 + below(20), below(2) ? 1.f : 0.f);
      }
    }
    for (Player& player : players) {
      player.wait();
      CHECK(player.sequence->length() == player.expected_length);
      const std::vector<float> found = player.sequence->logits();
      const std::vector<float> expected = alone(*fresh, player.sequence->tokens());
      CHECK(std::memcmp(found.data(), expected.data(), found.size() * sizeof(float)) == 0);
    }
  }
}

TEST_ON_DEVICES("in random schedules every sequence gets the bits it gets alone") {
  run_schedules(device, std::nullopt);
}

TEST_ON_DEVICES(
    "in random schedules with sparse attention every sequence gets the bits it gets alone") {
  // From the third block on, one of the blocks before is chosen.
  run_schedules(device,
                SparseRule{.init_blocks = 0, .local_blocks = 0, .top_k = 2, .dense_len = 0});
}

}  // namespace
}  // namespace minicpm::test
