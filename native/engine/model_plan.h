// What a model is loaded by, and the memory that it will take: known before anything is loaded.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "native/engine/block_directory.h"
#include "native/engine/kv_spill.h"
#include "native/model/config.h"
#include "native/weights/packing.h"
#include "native/weights/weight_file.h"
#include "native/weights/weight_source.h"

namespace minicpm {

struct ModelPlan {
  Config config;
  std::vector<WeightFile> files;
  std::vector<WeightSource> weights;
  std::string device;  // "cpu", "reference" or "cuda:N"
  std::string plugin;  // the shared library that has the device; empty: none is needed
  int threads = 0;     // 0: one a physical core
  DType kv_type = DType::f16;
  std::string isa;  // empty: the best
  Packing packing;
  DType activations = DType::f32;  // what packed weights are multiplied with: f32 or a8
  std::string
      fingerprint;  // of weights and settings: what changes keys or values beside the tokens
  DirectoryPlan directory;  // of sealed blocks on disk
  SpillPlan spill;          // of blocks that memory does not hold; needs sparse attention
  int64_t cache_bytes = 0;  // of sealed blocks kept for later prompts while nobody holds them
};

/// Bytes, each counted in pages nowhere twice; see MemoryPlan in src/native/binding.ts.
struct MemoryPlan {
  int64_t mapped = 0;
  int64_t weights = 0;
  int64_t kv = 0;
  int64_t activations = 0;
};

/// Reads nothing but the plan. Throws Error{kState, kOutOfMemory} for a spill that cannot be, and
/// Error{kState, kDevice} for what the device cannot do.
MemoryPlan plan_memory(const ModelPlan& plan, int64_t capacity, int64_t sequences);

/// Throws as plan_memory does.
void check_plan(const ModelPlan& plan);

KvLayout kv_layout(const ModelPlan& plan);

/// Blocks that one query attends to at most.
int64_t most_attended(const SparseRule& rule);

}  // namespace minicpm
