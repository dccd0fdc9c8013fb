// What the C interface tells of an index at once: size, parameters, labels, vectors, digest.

#include <concord/c/index.h>

#include <algorithm>
#include <cstring>

#include "common/capi/guard.hpp"
#include "common/capi/handles.hpp"
#include "common/capi/options.hpp"
#include "common/capi/rows.hpp"
#include "common/capi/structs.hpp"

using namespace concord;
using namespace concord::capi;

size_t concord_index_size(const concord_index* index) {
  return index == nullptr ? 0 : read(index, [](const auto& of) { return of.size(); });
}

uint32_t concord_index_shards(const concord_index* index) {
  return index == nullptr ? 0 : static_cast<uint32_t>(index->shards.size());
}

concord_status concord_index_get_params(const concord_index* index, concord_index_params* params) {
  return guarded([&] {
    fill(params, of_params(read(index, [](const auto& of) { return of.params(); })),
         "concord_index_params");
  });
}

concord_status concord_index_get_shard_params(const concord_index* index,
                                              concord_shard_params* params) {
  return guarded([&] {
    fill(params, of_shard_params(expect_sharded(index).shard_params()), "concord_shard_params");
  });
}

concord_status concord_index_shard(const concord_index* index, uint32_t number,
                                   const concord_index** shard) {
  return guarded([&] {
    expect(shard, "shard");
    static_cast<void>(expect_sharded(index).shard(number));  // refuses the number
    *shard = index->shards[number].get();
  });
}

uint64_t concord_index_resume_at(const concord_index* index) {
  if (index == nullptr) return 0;
  const auto* sharded = std::get_if<ShardedIndex>(&index->content);
  return sharded == nullptr ? concord_index_size(index) : sharded->resume_at();
}

concord_status concord_index_contains(const concord_index* index, uint64_t label, int* found) {
  return guarded([&] {
    expect(found, "found");
    *found = read(index, [&](const auto& of) { return of.contains(label); }) ? 1 : 0;
  });
}

concord_status concord_index_vector(const concord_index* index, uint64_t label, float* vector,
                                    size_t dimension) {
  return guarded([&] {
    expect(vector, "vector");
    const std::size_t needed = read(index, [](const auto& of) { return of.params().dimension; });
    if (dimension != needed) {
      throw Error(ErrorCode::dimension_mismatch, "there is room for " + std::to_string(dimension) +
                                                     " elements, and a vector has " +
                                                     std::to_string(needed));
    }
    const auto stored = read(index, [&](const auto& of) { return of.vector(label); });
    std::copy(stored.begin(), stored.end(), vector);
  });
}

concord_status concord_index_labels(const concord_index* index, uint64_t* labels, size_t capacity,
                                    size_t* count) {
  return guarded([&] {
    expect(count, "count");
    const auto room = array_of(labels, capacity, "labels");
    const auto all = read(index, [](const auto& of) { return of.labels(); });
    *count = all.size();
    if (all.size() > capacity) {
      throw BufferTooSmall("there are " + std::to_string(all.size()) + " labels, and room for " +
                           std::to_string(capacity));
    }
    std::copy(all.begin(), all.end(), room.begin());
  });
}

concord_status concord_index_digest(const concord_index* index, char digest[CONCORD_DIGEST_SIZE]) {
  return guarded([&] {
    expect(digest, "digest");
    const std::string text = read(index, [](const auto& of) { return of.digest(); });
    std::memcpy(digest, text.c_str(), CONCORD_DIGEST_SIZE);
  });
}
