// Removal and replacement of vectors of a ShardedIndex.
//
// A label is in one shard, and stays there when its vector is replaced: so the old vector goes and
// the new one comes in one instant. All that can be refused is refused before any shard changes.
// What a shard does is its own operation, recorded in its own journal, whole or not at all. So what
// a failure leaves is that some shards have done their part and others have not.

#include <algorithm>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include "common/base/finally.hpp"
#include "common/base/float_environment.hpp"
#include "common/index/deferred_log.hpp"
#include "common/index/removal.hpp"
#include "common/shards/sharded_addition.hpp"
#include "common/shards/sharded_impl.hpp"

namespace concord {
namespace {

/// What a removal takes from one shard.
struct Removed {
  std::vector<std::uint64_t> labels;
  std::vector<core::NodeId> nodes;
};

/// What a label is in the call, and whether a shard has it.
struct Asked {
  std::uint64_t label;
  bool is_known;
};

void expect_each_once(std::vector<Asked> asked, bool is_known) {
  std::erase_if(asked, [&](const Asked& one) { return one.is_known != is_known; });
  std::ranges::sort(asked, {}, &Asked::label);
  const auto twice = std::ranges::adjacent_find(asked, {}, &Asked::label);
  if (twice != asked.end()) refuse_repeated_label(twice->label);
}

template <class Owners>
void expect_all_known(const Owners& owners, std::span<const std::uint64_t> labels) {
  const auto unknown =
      std::ranges::find_if(owners, [](const auto& owner) { return owner.node == core::kNoNode; });
  if (unknown == owners.end()) return;
  const auto number = static_cast<std::size_t>(unknown - owners.begin());
  refuse_unknown_label(labels[number], number);
}

template <class Owners>
std::vector<Asked> asked_of(const Owners& owners, std::span<const std::uint64_t> labels) {
  std::vector<Asked> asked;
  asked.reserve(labels.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    asked.push_back({labels[i], owners[i].node != core::kNoNode});
  }
  return asked;
}

}  // namespace

bool ShardedIndex::Impl::has_died() const noexcept {
  return std::ranges::any_of(
      shards, [](const Index& shard) { return IndexAccess::contents(shard).graph.removals() > 0; });
}

ShardedIndex::Impl::Owner ShardedIndex::Impl::owner_of(std::uint64_t label) const noexcept {
  for (std::size_t s = 0; s < shards.size(); ++s) {
    const core::Contents& contents = IndexAccess::contents(shards[s]);
    const core::NodeId node = contents.labels.find(label, contents.graph.size());
    if (node != core::kNoNode) return {s, node};
  }
  return {};
}

std::vector<ShardedIndex::Impl::Owner> ShardedIndex::Impl::owners_of(
    std::span<const std::uint64_t> labels) const {
  std::vector<Owner> owners(labels.size());
  pool->parallel_for(labels.size(), 1024, [&](unsigned, std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) owners[i] = owner_of(labels[i]);
  });
  return owners;
}

void ShardedIndex::Impl::expect_changeable() const {
  for (std::size_t s = 0; s < shards.size(); ++s) {
    try {
      IndexAccess::expect_changeable(shards[s]);
    } catch (const Error&) {
      rethrow_of_shard(s, std::current_exception());
    }
  }
}

void ShardedIndex::Impl::for_each_shard(const std::function<void(std::size_t s)>& work) const {
  std::vector<std::exception_ptr> errors(shards.size());
  pool->parallel_for(shards.size(), 1, [&](unsigned, std::size_t begin, std::size_t end) {
    for (std::size_t s = begin; s < end; ++s) {
      try {
        work(s);
      } catch (...) {
        errors[s] = std::current_exception();
      }
    }
  });
  for (std::size_t s = 0; s < errors.size(); ++s) {
    if (errors[s]) rethrow_of_shard(s, errors[s]);
  }
}

std::size_t ShardedIndex::remove(std::span<const std::uint64_t> labels) {
  Impl& impl = *impl_;
  impl.deliver_after([&] {
    const core::WriterLock::Writing writing(impl.writer_lock);
    impl.expect_changeable();
    if (labels.empty()) return;
    const std::vector<Impl::Owner> owners = impl.owners_of(labels);
    expect_each_once(asked_of(owners, labels), true);
    expect_all_known(owners, labels);
    std::vector<Removed> parts(impl.shards.size());
    for (std::size_t i = 0; i < labels.size(); ++i) {
      parts[owners[i].shard].labels.push_back(labels[i]);
      parts[owners[i].shard].nodes.push_back(owners[i].node);
    }
    const Impl::Changing changing(impl);
    std::vector<std::unique_ptr<IndexAccess::Removal>> removals(parts.size());
    for (std::size_t s = 0; s < parts.size(); ++s) {
      if (parts[s].labels.empty()) continue;
      removals[s] = std::make_unique<IndexAccess::Removal>(impl.shards[s], parts[s].labels,
                                                           std::move(parts[s].nodes));
    }
    for (const auto& removal : removals) {
      if (removal) removal->leave();
    }
    const core::Finally note_end([&] { impl.next = impl.resume_position(); });
    impl.for_each_shard([&](std::size_t s) {
      if (!removals[s]) return;
      DeferredLog log(IndexAccess::log_of(impl.shards[s]));
      log.deliver_after([&] { removals[s]->run(log); });
    });
  });
  return labels.size();
}

std::size_t ShardedIndex::update(MatrixView<const float> vectors,
                                 std::span<const std::uint64_t> labels,
                                 const ProgressCallback& progress) {
  return impl_->replace(vectors, labels, progress, Impl::Unknown::are_refused);
}

std::size_t ShardedIndex::upsert(MatrixView<const float> vectors,
                                 std::span<const std::uint64_t> labels,
                                 const ProgressCallback& progress) {
  return impl_->replace(vectors, labels, progress, Impl::Unknown::are_added);
}

std::size_t ShardedIndex::Impl::replace(MatrixView<const float> rows,
                                        std::span<const std::uint64_t> new_labels,
                                        const ProgressCallback& progress, Unknown unknown) {
  IndexAccess::contents(shards.front()).vectors.check_shape(rows, "vectors");
  check_label_count(new_labels.size(), rows.rows);
  check_labels(new_labels);
  std::size_t replaced = 0;
  deliver_after([&] {
    const core::FloatEnvironment environment;
    const core::WriterLock::Writing writing(writer_lock);
    expect_changeable();
    if (rows.rows == 0) return;
    std::vector<Owner> owners = owners_of(new_labels);
    expect_each_once(asked_of(owners, new_labels), true);
    if (unknown == Unknown::are_refused) expect_all_known(owners, new_labels);
    expect_each_once(asked_of(owners, new_labels), false);
    const Changing changing(*this);
    Addition addition(*this, new_labels, std::move(owners));
    addition.write(0, rows);
    addition.label();
    addition.insert(progress);
    replaced = addition.committed();
  });
  return replaced;
}

void ShardedIndex::flush() {
  Impl& impl = *impl_;
  impl.deliver_after([&] {
    const core::WriterLock::Writing writing(impl.writer_lock);
    impl.expect_changeable();
    impl.for_each_shard([&](std::size_t s) { impl.shards[s].flush(); });
  });
}

}  // namespace concord
