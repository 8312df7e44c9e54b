// Ops on KV blocks: kv_append, pool_keys, attention, and the choice of blocks.
#include "test/cuda/device.h"

namespace minicpm::test {

namespace {

struct Shape {
  DType dtype;
  int kv_heads, group, head_dim;
};

constexpr Shape kShapes[] = {{DType::f32, 1, 2, 24},   {DType::f16, 2, 8, 64},
                             {DType::f16, 1, 16, 128}, {DType::f16, 1, 3, 160},
                             {DType::f32, 1, 5, 80},   {DType::i8, 2, 3, 32},
                             {DType::i8, 1, 1, 160}};

/// Two sequences with their keys and values in blocks, and queries of a batch with `first` rows at
/// the end of the one, an empty row, and `second` at the end of the other.
struct Pair {
  KvLayout layout;
  float scale;
  std::vector<std::unique_ptr<KvBlocks>> blocks;
  std::vector<Segment> segments;
  int rows;
  Array q;

  Pair(Random& random, const Shape& shape, bool pooled, int length_a, int first, int length_b,
       int second)
      : layout{shape.dtype, 2, shape.kv_heads, shape.head_dim, pooled},
        scale(1 / std::sqrt(static_cast<float>(shape.head_dim))),
        rows(first + 1 + second),
        q(rows, shape.kv_heads * shape.group * shape.head_dim) {
    q.fill(random, -3, 3);
    for (int length : {length_a, length_b}) {
      Array k(length, shape.kv_heads * shape.head_dim), v = k;
      k.fill(random, -2, 2), v.fill(random, -1, 1);
      blocks.push_back(std::make_unique<KvBlocks>(layout, length));
      blocks.back()->append(k, v, 1, 0);
    }
    segments = {{0, first, length_a - first, blocks[0]->blocks()},
                {first + 1, second, length_b - second, blocks[1]->blocks()}};
  }

  DeviceBatch on_device() const {
    return DeviceBatch(rows, segments, layout, {blocks[0].get(), blocks[1].get()});
  }
};

Array zeros_like(Array& q) {
  return Array(q.tensor().rows, q.tensor().columns);
}

}  // namespace

TEST("on CUDA kv_append writes the definition's bytes and no others") {
  Random random(1);
  for (const Shape& shape : kShapes) {
    const KvLayout layout{shape.dtype, 2, shape.kv_heads, shape.head_dim};
    const int width = shape.kv_heads * shape.head_dim;
    Array k(7, width), v(7, width);
    k.fill(random, -9, 9);
    v.fill(random, -1e-4f, 1e-4f);
    k.set(3, shape.dtype == DType::i8 ? NAN : 5), v.set(2, 0);
    for (int i = 0; i < shape.head_dim; i++) v.set(static_cast<size_t>(width + i), 0);
    KvBlocks a(layout, 70), b(layout, 70), expected_a(layout, 70), expected_b(layout, 70);
    const std::vector<Segment> segments{{0, 3, 62, expected_a.blocks()},
                                        {4, 3, 0, expected_b.blocks()}};
    reference::kv_append({k.tensor(), v.tensor(), segments, layout, 1});
    ON_DEVICE({
      const DeviceBatch batch(7, segments, layout, {&a, &b});
      const DeviceTensor keys(k.tensor()), values(v.tensor());
      cuda::kv_append({keys.tensor(), values.tensor(), segments, layout, 1}, batch.batch(),
                      nullptr);
      KvBlocks read_a(layout, 70), read_b(layout, 70);
      batch.read(0, read_a), batch.read(1, read_b);
      CHECK(same_bits(read_a.tensor(), expected_a.tensor()));
      CHECK(same_bits(read_b.tensor(), expected_b.tensor()));
    });
  }
}

TEST("on CUDA pool_keys writes the definition's bytes and no others") {
  Random random(2);
  for (const Shape& shape : kShapes) {
    const KvLayout layout{shape.dtype, 2, shape.kv_heads, shape.head_dim, true};
    Array k(192, shape.kv_heads * shape.head_dim), v = k;
    k.fill(random, -2, 2);
    const auto without_pooled = [&](int length) {
      auto blocks = std::make_unique<KvBlocks>(layout, length);
      const Segment all{0, length, 0, blocks->blocks()};
      reference::kv_append({k.tensor(), v.tensor(), {&all, 1}, layout, 1});
      return blocks;
    };
    const auto a = without_pooled(192), b = without_pooled(40);
    const auto expected_a = without_pooled(192), expected_b = without_pooled(40);
    const std::vector<Segment> segments{{0, 70, 122, expected_a->blocks()},
                                        {71, 20, 20, expected_b->blocks()}};
    reference::pool_keys({segments, layout, 1});
    ON_DEVICE({
      const DeviceBatch batch(91, segments, layout, {a.get(), b.get()});
      cuda::pool_keys({segments, layout, 1}, batch.batch(), nullptr);
      KvBlocks read_a(layout, 192), read_b(layout, 40);
      batch.read(0, read_a), batch.read(1, read_b);
      CHECK(same_bits(read_a.tensor(), expected_a->tensor()));
      CHECK(same_bits(read_b.tensor(), expected_b->tensor()));
    });
  }
}

TEST("on CUDA attention equals the definition; a row has the same bits in any company") {
  Random random(3);
  for (const Shape& shape : kShapes) {
    // The second sequence's row is its first token, or one that begins a block.
    Pair pair(random, shape, false, 530, 3, shape.group == 8 ? 1 : 65, 1);
    Array expected = zeros_like(pair.q), y = expected, alone = expected;
    reference::attention(
        {expected.tensor(), pair.q.tensor(), pair.segments, pair.layout, 1, pair.scale});
    ON_DEVICE({
      const DeviceBatch batch = pair.on_device();
      const DeviceTensor q(pair.q.tensor()), out(y.tensor()), one(alone.tensor());
      const auto run = [&](const DeviceTensor& to, const cuda::Batch& rows, int64_t first) {
        const Attention op{to.tensor().slice(first, rows.count),
                           q.tensor().slice(first, rows.count),
                           pair.segments,
                           pair.layout,
                           1,
                           pair.scale};
        const DeviceBytes scratch(cuda::attention_scratch(op, 1024) * sizeof(float));
        cuda::attention(op, rows, 1024, scratch.as<float>(), nullptr);
      };
      const cuda::Batch all = batch.batch();
      run(out, all, 0);
      Array got = expected;
      out.read(got.tensor());
      CHECK(worst_error(got.tensor(), expected.tensor(), 1) < 4e-6);
      for (int row : {1, pair.rows - 1}) {
        run(one, {all.rows + row, 1}, row);
        one.read(alone.tensor());
        CHECK(same_bits(got.tensor().slice(row, 1), alone.tensor().slice(row, 1)));
      }
    });
  }
}

TEST("on CUDA blocks are scored and selected, and attended to, as the definition does") {
  Random random(4);
  const auto rule_of = [](bool v41, bool coarse, int init) {
    return SparseRule{init, 2, v41 ? 3 : 4, 100, v41, coarse};
  };
  const SparseRule rules[] = {rule_of(false, false, 1), rule_of(true, true, 1),
                              rule_of(true, false, 0)};
  for (size_t i = 0; i < std::size(kShapes); i++) {
    const SparseRule rule = rules[i % std::size(rules)];
    Pair pair(random, kShapes[i], true, 640, 3, 130, 2);
    const int kv_heads = pair.layout.kv_heads;
    Array scores(pair.rows * kv_heads, 11), expected = zeros_like(pair.q), got_scores = scores;
    std::vector<uint64_t> masks(static_cast<size_t>(pair.rows * kv_heads), 0), got_masks = masks;
    const Tensor q = pair.q.tensor();
    const KvLayout& layout = pair.layout;
    reference::score_blocks({scores.tensor(), q, pair.segments, layout, 1, pair.scale, rule});
    reference::select_blocks({{masks.data(), 1}, scores.tensor(), pair.segments, kv_heads, rule});
    reference::attention(
        {expected.tensor(), q, pair.segments, layout, 1, pair.scale, BlockMasks{masks.data(), 1}});
    ON_DEVICE({
      const DeviceBatch batch = pair.on_device();
      const DeviceTensor queries(q), scored(Array(pair.rows * kv_heads, 11).tensor());
      const DeviceTensor out(zeros_like(pair.q).tensor());
      const DeviceBytes chosen = on_device_list(std::vector<uint64_t>(masks.size(), 0));
      const BlockMasks selected{chosen.as<uint64_t>(), 1};
      cuda::score_blocks(
          {scored.tensor(), queries.tensor(), pair.segments, layout, 1, pair.scale, rule},
          batch.batch(), nullptr);
      cuda::select_blocks({selected, scored.tensor(), pair.segments, kv_heads, rule}, batch.batch(),
                          nullptr);
      const Attention op{out.tensor(), queries.tensor(), pair.segments, layout, 1,
                         pair.scale,   selected};
      const DeviceBytes scratch(cuda::attention_scratch(op, 640) * sizeof(float));
      cuda::attention(op, batch.batch(), 640, scratch.as<float>(), nullptr);
      scored.read(got_scores.tensor());
      CHECK(worst_error(got_scores.tensor(), scores.tensor(), 1e-6) < 2e-5);
      copy_from_device(got_masks.data(), chosen.as<void>(), chosen.size());
      CHECK(got_masks == masks);
      Array got = expected;
      out.read(got.tensor());
      CHECK(worst_error(got.tensor(), expected.tensor(), 1) < 4e-6);
    });
  }
}

TEST("on CUDA attention passes over 512 keys of which no block is selected") {
  Random random(5);
  const KvLayout layout{DType::f16, 1, 1, 64};
  Array k(600, 64), v = k, q(1, 2 * 64), expected = q, y = q;
  k.fill(random, -2, 2), v.fill(random, -1, 1), q.fill(random, -3, 3);
  KvBlocks blocks(layout, 600);
  blocks.append(k, v, 0, 0);
  const std::vector<Segment> segments{{0, 1, 599, blocks.blocks()}};
  std::vector<uint64_t> mask{1 << 9};  // the row's own block
  reference::attention(
      {expected.tensor(), q.tensor(), segments, layout, 0, 0.1f, BlockMasks{mask.data(), 1}});
  ON_DEVICE({
    const DeviceBatch batch(1, segments, layout, {&blocks});
    const DeviceTensor queries(q.tensor()), out(y.tensor());
    const DeviceBytes chosen = on_device_list(mask);
    const BlockMasks selected{chosen.as<uint64_t>(), 1};
    const Attention op{out.tensor(), queries.tensor(), segments, layout, 0, 0.1f, selected};
    const DeviceBytes scratch(cuda::attention_scratch(op, 640) * sizeof(float));
    cuda::attention(op, batch.batch(), 640, scratch.as<float>(), nullptr);
    out.read(y.tensor());
    CHECK(worst_error(y.tensor(), expected.tensor(), 1) < 4e-6);
  });
}

TEST("on CUDA select_blocks takes the lower of blocks with equal scores") {
  const SparseRule rule{
      .init_blocks = 1, .local_blocks = 1, .top_k = 4, .dense_len = 0, .v41 = true};
  const KvLayout layout{DType::f16, 1, 1, 8};
  const KvBlocks blocks(layout, 640);
  Array scores(1, 16);  // own block 9; 1 to 7 compete for 2 places
  const float given[] = {9, 1, 3, 3, 0, 3, 2, -0.0f, 9, 9};
  for (size_t i = 0; i < 10; i++) scores.set(i, given[i]);
  const std::vector<Segment> segments{{0, 1, 9 * 64 + 5, blocks.blocks()}};
  ON_DEVICE({
    const DeviceBatch batch(1, segments, layout, {&blocks});
    const DeviceTensor scored(scores.tensor());
    const DeviceBytes chosen = on_device_list(std::vector<uint64_t>{~0ull});
    cuda::select_blocks({{chosen.as<uint64_t>(), 1}, scored.tensor(), segments, 1, rule},
                        batch.batch(), nullptr);
    uint64_t mask = 0;
    copy_from_device(&mask, chosen.as<void>(), sizeof mask);
    CHECK(mask == 0b1100001101);
  });
}

}  // namespace minicpm::test
