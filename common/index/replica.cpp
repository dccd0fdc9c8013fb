// Replica: an index that follows the files of one that another process changes.
//
// Invariant: the index is the one of the journal's base and of the records that the follower has
// taken, or the index file was ahead of that journal when it was read.

#include <concord/replica.hpp>
#include <cstring>
#include <exception>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "common/base/float_environment.hpp"
#include "common/index/file_and_journal.hpp"
#include "common/index/index_impl.hpp"
#include "common/journal/follower.hpp"
#include "common/threads/after_fork.hpp"
#include "cpu/proposer.hpp"

namespace concord {

using core::file::JournalHeader;

DivergedError::DivergedError(const std::string& message)
    : Error(ErrorCode::corrupt_file, message) {}
DivergedError::~DivergedError() = default;  // here, so that the type's identity is the library's

// ------------------------------------------------------------------------- the index of a replica

struct IndexAccess::Following {
  static Index read(const std::filesystem::path& path, const core::Follower& journal,
                    const RuntimeOptions& options);
  static void take(Index& index, core::Follower& from, const JournalHeader* until);
  static void flush(Index& index);
  static void promote(Index& index, std::unique_ptr<core::Journal> journal);

 private:
  template <class Use>
  static void as_writer(Index& index, const Use& use);
};

// The index file may be ahead of the journal, since it is replaced first.
Index IndexAccess::Following::read(const std::filesystem::path& path, const core::Follower& journal,
                                   const RuntimeOptions& options) {
  const bool has_file = core::identity_of(path).exists();
  Index index = has_file ? Index::load(path, options)
                         : Index(core::file::params_of(journal.header()), options);
  Index::Impl& impl = *index.impl_;
  if (!has_file) impl.read_presets(path);
  impl.followed = path;
  impl.follows = true;
  expect_to_belong({path, index, has_file, journal.header(), [&] { return digest(index); },
                    [&] { return journal.begins_with_flush(); }});
  return index;
}

// Runs use(target, writing) as an addition runs: readers go on, and whoever needs the graph to
// stand still waits.
template <class Use>
void IndexAccess::Following::as_writer(Index& index, const Use& use) {
  Index::Impl& impl = *index.impl_;
  core::WriterLock::Writing writing(impl.writer_lock);
  const DeviceSlot::KeptForWriter kept(impl.device);
  const core::FloatEnvironment environment;
  cpu::CpuProposer scorer(impl.contents, impl.metric_kernels(), *impl.pool, impl.build);
  use(core::ReplayTarget{impl.contents, impl.committer, *impl.pool, scorer}, writing);
}

void IndexAccess::Following::take(Index& index, core::Follower& from, const JournalHeader* until) {
  if (!from.has_more()) return;
  as_writer(index, [&](const core::ReplayTarget& target, core::WriterLock::Writing& writing) {
    from.take(target, until, [&] {
      if (writing.is_awaited()) writing.lend();
    });
  });
}

void IndexAccess::Following::flush(Index& index) {
  as_writer(index, [](const core::ReplayTarget& target, core::WriterLock::Writing&) {
    target.committer.seal(target.scorer);
  });
}

void IndexAccess::Following::promote(Index& index, std::unique_ptr<core::Journal> journal) {
  Index::Impl& impl = *index.impl_;
  const core::WriterLock::Writing writing(impl.writer_lock);
  const DeviceSlot::KeptForWriter kept(impl.device);
  impl.take_journal(std::move(journal));
  impl.follows = false;
}

namespace {

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& reason) {
  throw DivergedError("the index at '" + path.string() +
                      "' has another history than this replica: " + reason);
}

// Goes through the linked nodes, in order. REQUIRES that no writer is at work.
class LinkedNodes {
 public:
  explicit LinkedNodes(const core::Graph& graph) : graph_(graph) { find(); }
  [[nodiscard]] bool is_at_end() const { return node_ >= graph_.size(); }
  [[nodiscard]] core::NodeId node() const { return node_; }
  [[nodiscard]] std::uint64_t number() const { return graph_.insertion(node_); }
  void go_on() {
    ++node_;
    find();
  }

 private:
  void find() {
    const core::Hole hole = graph_.tombstones().hole();
    while (!is_at_end() && (hole.contains(node_) || !graph_.is_linked(node_))) ++node_;
  }

  const core::Graph& graph_;
  core::NodeId node_ = 0;
};

// Vectors and labels of the same number of insertion must be the same.
void expect_same_history(const std::filesystem::path& path, const Index& before, const Index& now) {
  const core::Contents& a = IndexAccess::contents(before);
  const core::Contents& b = IndexAccess::contents(now);
  std::vector<float> of_a(a.vectors.stride()), of_b(b.vectors.stride());
  LinkedNodes in_a(a.graph), in_b(b.graph);
  while (!in_a.is_at_end() && !in_b.is_at_end()) {
    if (in_a.number() != in_b.number()) {
      (in_a.number() < in_b.number() ? in_a : in_b).go_on();
      continue;
    }
    a.vectors.copy(in_a.node(), 1, of_a.data());
    b.vectors.copy(in_b.node(), 1, of_b.data());
    if (a.labels.label(in_a.node()) != b.labels.label(in_b.node()) ||
        std::memcmp(of_a.data(), of_b.data(), of_a.size() * sizeof(float)) != 0) {
      refuse(path, "it has other vectors or labels");
    }
    in_a.go_on();
    in_b.go_on();
  }
}

}  // namespace

// ------------------------------------------------------------------------------------ the replica

struct Replica::Impl {
  Impl(const std::filesystem::path& index_path, RuntimeOptions runtime)
      : path(core::resolved(index_path)), options(std::move(runtime)) {
    read_files(nullptr);
  }

  std::uint64_t catch_up();
  [[nodiscard]] ReplicaLag lag();
  std::shared_ptr<Index> promote(Durability durability);
  [[nodiscard]] std::shared_ptr<const Index> shown() const;
  void after_fork() noexcept {
    new (&mutex) std::mutex;
    new (&shown_mutex) std::mutex;
  }

  std::mutex mutex;  ///< of catch_up(), lag() and promote()

 private:
  using Following = IndexAccess::Following;

  [[nodiscard]] const core::Contents& contents() const { return IndexAccess::contents(*index); }
  [[nodiscard]] std::uint64_t position() const {
    return contents().graph.insertions() + contents().graph.removals();
  }
  void read_files(const Index* before);
  void expect_following() const;
  std::uint64_t follow();
  void take(const JournalHeader* until);
  void change_journal();
  void expect_same_digest(const JournalHeader& header);
  void note_failure();

  std::filesystem::path path;
  RuntimeOptions options;
  std::unique_ptr<core::Follower> follower;
  mutable std::mutex shown_mutex;  ///< guards the three members below, which change under both
  std::shared_ptr<Index> index;    ///< of the moment that is shown
  std::exception_ptr failure;      ///< why the index must not be shown; null while all is well
  bool is_promoted = false;
  core::AfterFork in_child{*this};
};

// If the writer compacts meanwhile, what was read of the two files may not belong together.
void Replica::Impl::read_files(const Index* before) {
  constexpr int kTries = 10;
  for (int tries = 1;; ++tries) {
    auto journal = std::make_unique<core::Follower>(path);
    try {
      auto read = std::make_shared<Index>(Following::read(path, *journal, options));
      if (before != nullptr) expect_same_history(path, *before, *read);
      const std::lock_guard lock(shown_mutex);
      index = std::move(read);
      follower = std::move(journal);
      return;
    } catch (const DivergedError&) {
      throw;
    } catch (const Error&) {
      if (tries == kTries || journal->look()) throw;
    }
  }
}

void Replica::Impl::expect_following() const {
  if (failure) std::rethrow_exception(failure);
  if (!is_promoted) return;
  throw Error(ErrorCode::unsupported, "the replica of '" + path.string() +
                                          "' was promoted: its index takes changes itself and "
                                          "follows no other");
}

std::shared_ptr<const Index> Replica::Impl::shown() const {
  const std::lock_guard lock(shown_mutex);
  if (failure) std::rethrow_exception(failure);
  return index;
}

void Replica::Impl::note_failure() {
  const std::lock_guard lock(shown_mutex);
  failure = std::current_exception();
}

std::uint64_t Replica::Impl::catch_up() {
  expect_following();
  try {
    return follow();
  } catch (const DivergedError&) {
    note_failure();
    throw;
  }
}

std::uint64_t Replica::Impl::follow() {
  const std::uint64_t before = position();
  while (!follower->look()) change_journal();
  take(nullptr);
  follower->expect_history();
  return position() - before;
}

void Replica::Impl::take(const JournalHeader* until) {
  try {
    Following::take(*index, *follower, until);
  } catch (...) {
    if (follower->has_failed()) note_failure();
    throw;
  }
}

// The new journal goes on from the end of the old one, unless others came between. Or it begins
// further back, as one of a new version of the format, and has the same operations.
void Replica::Impl::change_journal() {
  auto next = std::make_unique<core::Follower>(path);
  next->expect_history();
  const JournalHeader& header = next->header();
  if (core::file::params_of(header) != index->params()) refuse(path, "its parameters are others");
  take(&header);
  const core::Graph& graph = contents().graph;
  const core::file::OperationCounts& base = header.base;
  if (base.ids() > graph.insertions() || base.removals() > graph.removals()) {
    return read_files(index.get());
  }
  if (base.ids() == graph.insertions() && base.removals() == graph.removals()) {
    expect_same_digest(header);
  } else {
    next->look();
    const core::file::OperationCounts end = next->lasting_counts();
    if (end.ids() < graph.insertions() || end.removals() < graph.removals()) {
      refuse(path, "its journal lacks operations that were done");
    }
  }
  follower = std::move(next);
}

// A flush may stand in a journal between the two; it changes the digest and no count.
void Replica::Impl::expect_same_digest(const JournalHeader& header) {
  if (header.base.ids() == 0) return;
  const auto is_same = [&] { return IndexAccess::digest(*index) == header.base_digest; };
  if (is_same()) return;
  if (!contents().graph.pending().empty()) {
    Following::flush(*index);
    if (is_same()) return;
  }
  refuse(path, "the index that was compacted has another digest");
}

ReplicaLag Replica::Impl::lag() {
  expect_following();
  try {
    const bool is_current = follower->look();
    ReplicaLag lag{0, follower->bytes_ahead()};
    core::file::OperationCounts end = follower->lasting_counts();
    if (!is_current) {
      core::Follower next(path);
      next.look();
      lag.bytes += next.bytes_ahead();
      end = next.lasting_counts();
    }
    const std::uint64_t position_of_end = end.ids() + end.removals();
    lag.operations = position_of_end - std::min(position_of_end, position());
    return lag;
  } catch (const DivergedError&) {
    note_failure();
    throw;
  }
}

// Nobody writes while the journal is locked. So all of it is there once it was followed to its end.
std::shared_ptr<Index> Replica::Impl::promote(Durability durability) {
  expect_following();
  auto journal = std::make_unique<core::Journal>(path, durability);
  catch_up();
  journal->note_index_file();
  try {
    Following::promote(*index, std::move(journal));
  } catch (...) {
    note_failure();
    throw;
  }
  const std::lock_guard lock(shown_mutex);
  is_promoted = true;
  return index;
}

Replica::Replica(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Replica::~Replica() = default;
Replica::Replica(Replica&&) noexcept = default;
Replica& Replica::operator=(Replica&&) noexcept = default;

Replica Replica::open(const std::filesystem::path& path, RuntimeOptions options) {
  Replica replica(std::make_unique<Impl>(path, std::move(options)));
  replica.catch_up();
  return replica;
}

std::uint64_t Replica::catch_up() {
  const std::lock_guard lock(impl_->mutex);
  return impl_->catch_up();
}

std::shared_ptr<const Index> Replica::index() const { return impl_->shown(); }

ReplicaLag Replica::lag() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->lag();
}

std::shared_ptr<Index> Replica::promote(Durability durability) {
  const std::lock_guard lock(impl_->mutex);
  return impl_->promote(durability);
}

}  // namespace concord
