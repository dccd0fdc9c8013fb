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
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "common/capi/guard.hpp"

/// An index of its own, a sharded one, a shard that belongs to another handle, the index of a
/// replica, or one that a replica has opened.
struct concord_index {
  explicit concord_index(concord::Index index) : content(std::move(index)) {}
  explicit concord_index(std::shared_ptr<const concord::Index> index) : content(std::move(index)) {}
  explicit concord_index(std::shared_ptr<concord::Index> index) : content(std::move(index)) {}
  explicit concord_index(const concord::Index* shard) : content(shard) {}
  explicit concord_index(concord::ShardedIndex index) : content(std::move(index)) {
    const auto& whole = std::get<concord::ShardedIndex>(content);
    for (std::uint32_t s = 0; s < whole.shards(); ++s) {
      shards.push_back(std::make_unique<concord_index>(&whole.shard(s)));
    }
  }

  std::variant<concord::Index, concord::ShardedIndex, const concord::Index*,
               std::shared_ptr<const concord::Index>, std::shared_ptr<concord::Index>>
      content;
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

/// The Index of a handle that may be changed, const for a const handle; null for others.
template <class Handle>
auto* own_or_null(Handle& handle) noexcept {
  using Own = std::conditional_t<std::is_const_v<Handle>, const Index, Index>;
  const auto* const opened = std::get_if<std::shared_ptr<Index>>(&handle.content);
  return opened == nullptr ? std::get_if<Index>(&handle.content) : static_cast<Own*>(opened->get());
}
/// The Index of a handle, for reading; null for a sharded index.
inline const Index* single_or_null(const concord_index& handle) noexcept {
  if (const auto* shard = std::get_if<const Index*>(&handle.content)) return *shard;
  if (const auto* followed = std::get_if<std::shared_ptr<const Index>>(&handle.content)) {
    return followed->get();
  }
  return own_or_null(handle);
}

/// Calls `f` with the const Index& or const ShardedIndex& of a handle.
template <class F>
decltype(auto) read(const concord_index* handle, const F& f) {
  const concord_index& index = expect(handle, "index");
  if (const Index* single = single_or_null(index)) return f(*single);
  return f(std::get<ShardedIndex>(index.content));
}

/// The same for a change. Throws Error(unsupported) for a shard and the index of a replica.
template <class F>
decltype(auto) change(concord_index* handle, const F& f) {
  concord_index& index = expect(handle, "index");
  if (Index* single = own_or_null(index)) return f(*single);
  if (auto* sharded = std::get_if<ShardedIndex>(&index.content)) return f(*sharded);
  throw Error(ErrorCode::unsupported,
              std::holds_alternative<const Index*>(index.content)
                  ? "a shard can only be read; change the index that it is of"
                  : "the index of a replica can only be read; concord_replica_promote gives one "
                    "that takes changes");
}

/// The Index of a handle, for what a sharded index cannot do. Throws Error(unsupported).
inline const Index& expect_single(const concord_index* handle) {
  if (const Index* single = single_or_null(expect(handle, "index"))) return *single;
  throw Error(ErrorCode::unsupported,
              "a sharded index cannot do this; each of its shards can (concord_index_shard)");
}
/// The same for what changes it or its presets.
inline Index& expect_own_single(concord_index* handle) {
  if (Index* single = own_or_null(expect(handle, "index"))) return *single;
  throw Error(ErrorCode::unsupported,
              "neither a sharded index, a shard nor the index of a replica can do this");
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
