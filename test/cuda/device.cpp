#include "test/cuda/device.h"

namespace minicpm::test {

DeviceBatch::DeviceBatch(int rows, const std::vector<Segment>& segments, const KvLayout& layout,
                         const std::vector<const KvBlocks*>& sequences)
    : count_(rows) {
  std::vector<cuda::BatchRow> places(static_cast<size_t>(rows), {nullptr, -1});
  for (size_t s = 0; s < sequences.size(); s++) {
    const Tensor all = sequences[s]->tensor();
    memory_.push_back(std::make_unique<DeviceBytes>(all.data, all.bytes()));
    std::vector<std::byte*> blocks;
    for (size_t at = 0; at < all.bytes(); at += layout.block_bytes()) {
      blocks.push_back(memory_.back()->as<std::byte>() + at);
    }
    tables_.push_back(
        std::make_unique<DeviceBytes>(blocks.data(), blocks.size() * sizeof(std::byte*)));
    for (int i = 0; i < segments[s].count; i++) {
      places[static_cast<size_t>(segments[s].row + i)] = {tables_.back()->as<std::byte*>(),
                                                          segments[s].position + i};
    }
  }
  rows_ = std::make_unique<DeviceBytes>(places.data(), places.size() * sizeof(cuda::BatchRow));
}

void DeviceBatch::read(size_t index, KvBlocks& to) const {
  copy_from_device(to.tensor().data, memory_[index]->as<void>(), memory_[index]->size());
}

}  // namespace minicpm::test
