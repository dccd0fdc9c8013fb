// What stands behind the handles of the C interface, and how functions reach it.
// Thread-safety: as the objects within.
#pragma once

#include <concord/c/filter.h>
#include <concord/c/index.h>
#include <concord/c/search.h>

#include <concord/cursor.hpp>
#include <concord/filter.hpp>
#include <concord/groups.hpp>
#include <concord/index.hpp>
#include <concord/sharded_index.hpp>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "common/capi/guard.hpp"

/// An index of its own, a sharded one, or a shard that belongs to another handle.
struct concord_index {
  explicit concord_index(concord::Index index) : content(std::move(index)) {}
  explicit concord_index(const concord::Index* shard) : content(shard) {}
  explicit concord_index(concord::ShardedIndex index) : content(std::move(index)) {
    const auto& whole = std::get<concord::ShardedIndex>(content);
    for (std::uint32_t s = 0; s < whole.shards(); ++s) {
      shards.push_back(std::make_unique<concord_index>(&whole.shard(s)));
    }
  }

  std::variant<concord::Index, concord::ShardedIndex, const concord::Index*> content;
  std::vector<std::unique_ptr<concord_index>> shards;  ///< a handle for each
};

struct concord_filter {
  concord::Filter filter;
};
struct concord_groups {
  concord::Groups groups;
};
struct concord_cursor {
  concord::Cursor cursor;
};

namespace concord::capi {

/// The Index of a handle, which may be a shard; null for a sharded index.
inline const Index* single_or_null(const concord_index& handle) noexcept {
  if (const auto* shard = std::get_if<const Index*>(&handle.content)) return *shard;
  return std::get_if<Index>(&handle.content);
}

/// Calls `f` with the const Index& or const ShardedIndex& of a handle.
template <class F>
decltype(auto) read(const concord_index* handle, const F& f) {
  const concord_index& index = expect(handle, "index");
  if (const Index* single = single_or_null(index)) return f(*single);
  return f(std::get<ShardedIndex>(index.content));
}

/// The same for a change. Throws Error(unsupported) for a shard.
template <class F>
decltype(auto) change(concord_index* handle, const F& f) {
  concord_index& index = expect(handle, "index");
  if (auto* single = std::get_if<Index>(&index.content)) return f(*single);
  if (auto* sharded = std::get_if<ShardedIndex>(&index.content)) return f(*sharded);
  throw Error(ErrorCode::unsupported, "a shard can only be read; change the index that it is of");
}

/// The Index of a handle, for what a sharded index cannot do. Throws Error(unsupported).
inline const Index& expect_single(const concord_index* handle) {
  if (const Index* single = single_or_null(expect(handle, "index"))) return *single;
  throw Error(ErrorCode::unsupported,
              "a sharded index cannot do this; each of its shards can (concord_index_shard)");
}
/// The same for what changes it or its presets.
inline Index& expect_own_single(concord_index* handle) {
  if (auto* single = std::get_if<Index>(&expect(handle, "index").content)) return *single;
  throw Error(ErrorCode::unsupported, "neither a sharded index nor a shard can do this");
}
inline const ShardedIndex& expect_sharded(const concord_index* handle) {
  const auto* sharded = std::get_if<ShardedIndex>(&expect(handle, "index").content);
  if (sharded != nullptr) return *sharded;
  throw Error(ErrorCode::unsupported, "the index has no shards");
}

/// Stores a new handle of `content` where the caller wants it.
template <class Handle, class Content>
void give(Handle** to, Content&& content) {
  *to = new Handle{std::forward<Content>(content)};
}

}  // namespace concord::capi
