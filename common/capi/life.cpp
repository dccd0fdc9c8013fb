// Making, opening and saving an index through the C interface.

#include <concord/c/index.h>

#include <concord/interchange.hpp>

#include "common/capi/guard.hpp"
#include "common/capi/handles.hpp"
#include "common/capi/options.hpp"
#include "common/capi/rows.hpp"

using namespace concord;
using namespace concord::capi;

namespace {

/// Makes an index by `make` and gives it to the caller.
template <class Make>
concord_status give_index(concord_index** index, const Make& make) noexcept {
  return guarded([&] {
    expect(index, "index");
    give(index, make());
  });
}

}  // namespace

concord_status concord_index_create(const concord_index_params* params,
                                    const concord_runtime_options* options, concord_index** index) {
  return give_index(
      index, [&] { return Index(params_of(&expect(params, "params")), runtime_of(options)); });
}

concord_status concord_sharded_create(const concord_index_params* params,
                                      const concord_shard_params* shards,
                                      const concord_runtime_options* options,
                                      concord_index** index) {
  return give_index(index, [&] {
    return ShardedIndex(params_of(&expect(params, "params")), shard_params_of(shards),
                        shard_runtime_of(options));
  });
}

void concord_index_free(concord_index* index) { delete index; }

concord_status concord_index_load(const char* path, const concord_runtime_options* options,
                                  concord_index** index) {
  return give_index(index, [&] { return Index::load(&expect(path, "path"), runtime_of(options)); });
}

concord_status concord_sharded_load(const char* folder, const concord_runtime_options* options,
                                    concord_index** index) {
  return give_index(index, [&] {
    return ShardedIndex::load(&expect(folder, "folder"), shard_runtime_of(options));
  });
}

concord_status concord_index_map(const char* path, int32_t check,
                                 const concord_runtime_options* options, concord_index** index) {
  return give_index(index, [&] {
    return Index::map(&expect(path, "path"), map_check_of(check), runtime_of(options));
  });
}

concord_status concord_sharded_map(const char* folder, int32_t check,
                                   const concord_runtime_options* options, concord_index** index) {
  return give_index(index, [&] {
    return ShardedIndex::map(&expect(folder, "folder"), map_check_of(check),
                             shard_runtime_of(options));
  });
}

concord_status concord_index_save(const concord_index* index, const char* path) {
  return guarded([&] {
    expect(path, "path");
    read(index, [&](const auto& of) { of.save(path); });
  });
}

concord_status concord_index_write(const concord_index* index, concord_byte_sink sink,
                                   void* context) {
  return guarded([&] {
    const Index& of = expect_single(index);
    expect(sink, "sink");
    of.write([&](std::span<const std::byte> piece, std::uint64_t left) {
      if (piece.empty()) return;  // whose pointer is NULL
      if (sink(context, piece.data(), piece.size(), left) != 0) throw Cancelled("sink");
    });
  });
}

concord_status concord_index_from_bytes(const void* bytes, size_t count,
                                        const concord_runtime_options* options,
                                        concord_index** index) {
  return give_index(index, [&] {
    return Index::from_bytes(array_of(static_cast<const std::byte*>(bytes), count, "bytes"),
                             runtime_of(options));
  });
}

concord_status concord_index_open(const char* path, const concord_index_params* params,
                                  int32_t durability, const concord_runtime_options* options,
                                  concord_index** index) {
  return give_index(index, [&] {
    expect(path, "path");
    return params == nullptr ? Index::open(path, durability_of(durability), runtime_of(options))
                             : Index::open(path, params_of(params), durability_of(durability),
                                           runtime_of(options));
  });
}

concord_status concord_sharded_open(const char* folder, const concord_index_params* params,
                                    const concord_shard_params* shards, int32_t durability,
                                    const concord_runtime_options* options, concord_index** index) {
  return give_index(index, [&] {
    expect(folder, "folder");
    if ((params == nullptr) != (shards == nullptr)) {
      throw Error(ErrorCode::invalid_parameter, "params and shards must both be given, or neither");
    }
    return params == nullptr
               ? ShardedIndex::open(folder, durability_of(durability), shard_runtime_of(options))
               : ShardedIndex::open(folder, params_of(params), shard_params_of(shards),
                                    durability_of(durability), shard_runtime_of(options));
  });
}

concord_status concord_index_compact(concord_index* index) {
  return guarded([&] { change(index, [](auto& of) { of.compact(); }); });
}

concord_status concord_hnswlib_load(const char* path, uint32_t dimension, int32_t metric,
                                    int32_t adopt, const concord_runtime_options* options,
                                    concord_index** index) {
  return give_index(index, [&] {
    return interchange::load_hnswlib(&expect(path, "path"),
                                     {.dimension = dimension, .metric = metric_of(metric)},
                                     adopt_of(adopt), runtime_of(options));
  });
}

concord_status concord_hnswlib_save(const concord_index* index, const char* path) {
  return guarded([&] { interchange::save_hnswlib(expect_single(index), &expect(path, "path")); });
}

concord_status concord_faiss_load(const char* path, int32_t adopt,
                                  const concord_runtime_options* options, concord_index** index) {
  return give_index(index, [&] {
    return interchange::load_faiss(&expect(path, "path"), adopt_of(adopt), runtime_of(options));
  });
}

concord_status concord_faiss_save(const concord_index* index, const char* path) {
  return guarded([&] { interchange::save_faiss(expect_single(index), &expect(path, "path")); });
}
