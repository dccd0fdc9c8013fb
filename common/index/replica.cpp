// Replica: an index that follows the files of one that another process changes.
//
// Invariant: the index is the one of the journal's base and of the records that the follower has
// taken, or the index file was ahead of that journal when it was read. Whenever another file stands
// at the path, digest or vectors prove that it goes on from this index (expect_continuation).

#include <algorithm>
#include <concord/replica.hpp>
#include <cstring>
#include <exception>
#include <functional>
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
using core::file::OperationCounts;

DivergedError::DivergedError(const std::string& message)
    : Error(ErrorCode::corrupt_file, message) {}
DivergedError::~DivergedError() = default;  // here, so that the type's identity is the library's

// ------------------------------------------------------------------------- the index of a replica

struct IndexAccess::Following {
  static Index read(const std::filesystem::path& path, const core::Follower& journal,
                    const RuntimeOptions& options);
  static void take(Index& index, core::Follower& from, const OperationCounts* until);
  static void flush(Index& index);
  static Index open(const std::filesystem::path& path, Durability durability,
                    const RuntimeOptions& options, const std::function<void(const Index&)>& accept);

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

void IndexAccess::Following::take(Index& index, core::Follower& from,
                                  const OperationCounts* until) {
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

Index IndexAccess::Following::open(const std::filesystem::path& path, Durability durability,
                                   const RuntimeOptions& options,
                                   const std::function<void(const Index&)>& accept) {
  return Index::Impl::open(path, nullptr, durability, options, accept);
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
void expect_same_vectors(const std::filesystem::path& path, const Index& before, const Index& now) {
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

// What lives now and was inserted before must have lived before, since nothing removed comes back.
void expect_none_revived(const std::filesystem::path& path, const Index& before, const Index& now) {
  std::vector<std::uint64_t> before_numbers, now_numbers;
  IndexAccess::labels(before, &before_numbers);
  IndexAccess::labels(now, &now_numbers);
  const auto end = std::lower_bound(now_numbers.begin(), now_numbers.end(),
                                    IndexAccess::contents(before).graph.insertions());
  if (std::includes(before_numbers.begin(), before_numbers.end(), now_numbers.begin(), end)) return;
  refuse(path, "it has vectors that this replica has removed");
}

OperationCounts counts_of(const Index& index) {
  return concord::counts_of(IndexAccess::contents(index).graph);
}

}  // namespace

// ------------------------------------------------------------------------------------ the replica

struct Replica::Impl {
  Impl(const std::filesystem::path& index_path, RuntimeOptions runtime)
      : path(core::resolved(index_path)), options(std::move(runtime)) {
    read_files();
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

  [[nodiscard]] std::uint64_t position() const {
    const OperationCounts own = counts_of(*index);
    return own.ids() + own.removals();
  }
  void read_files();
  void show(std::shared_ptr<Index> other, bool as_promoted);
  void expect_following() const;
  std::uint64_t follow();
  void take(const OperationCounts* until);
  void change_journal();
  bool leads_here(Index& read, core::Follower& journal);
  bool expect_continuation(const Index& now);
  void expect_same_params(const IndexParams& params) const;
  void expect_same_digest(const core::Digest& of_files);
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
void Replica::Impl::read_files() {
  constexpr int kTries = 10;
  for (int tries = 1;; ++tries) {
    auto journal = std::make_unique<core::Follower>(path);
    try {
      auto read = std::make_shared<Index>(Following::read(path, *journal, options));
      const bool is_first = index == nullptr;
      if (is_first || !leads_here(*read, *journal)) show(std::move(read), false);
      if (!is_first) journal->expect_history();
      follower = std::move(journal);
      return;
    } catch (const Error&) {
      if (tries == kTries || journal->look()) throw;
    }
  }
}

// The files must have every operation that this replica has done. Returns true if they lead to its
// very state; `read` and `journal` are there then. Otherwise the index file was beyond it.
bool Replica::Impl::leads_here(Index& read, core::Follower& journal) {
  const OperationCounts own = counts_of(*index);
  if (!counts_of(read).is_beyond(own)) {
    journal.look();
    Following::take(read, journal, &own);
  }
  return expect_continuation(read);
}

// Returns true if `now` is this replica's very state.
bool Replica::Impl::expect_continuation(const Index& now) {
  expect_same_params(now.params());
  const OperationCounts own = counts_of(*index);
  if (own.is_beyond(counts_of(now))) refuse(path, "it lacks operations that were done");
  if (own.is_level_with(counts_of(now))) {
    expect_same_digest(IndexAccess::digest(now));
    return true;
  }
  expect_same_vectors(path, *index, now);
  expect_none_revived(path, *index, now);
  return false;
}

void Replica::Impl::expect_same_params(const IndexParams& params) const {
  if (params != index->params()) refuse(path, "its parameters are others");
}

// The index that was shown is freed behind the lock, since that takes long.
void Replica::Impl::show(std::shared_ptr<Index> other, bool as_promoted) {
  const std::lock_guard lock(shown_mutex);  // ends before `other`, the parameter, does
  index.swap(other);
  is_promoted = as_promoted;
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

void Replica::Impl::take(const OperationCounts* until) {
  try {
    Following::take(*index, *follower, until);
  } catch (...) {
    if (follower->has_failed()) note_failure();
    throw;
  }
}

// The file may be a copy. Or the writer has compacted, and the new journal goes on from the end of
// the old one. Otherwise the files themselves must lead to where this replica is, or beyond.
void Replica::Impl::change_journal() {
  auto next = std::make_unique<core::Follower>(path);
  if (!next->go_to(*follower)) {
    const JournalHeader& header = next->header();
    expect_same_params(core::file::params_of(header));
    take(&header.base);
    if (!header.base.is_level_with(counts_of(*index))) return read_files();
    if (header.base.ids() > 0) expect_same_digest(header.base_digest);
  }
  next->expect_history();
  follower = std::move(next);
}

// A flush may stand in a journal between the two; it changes the digest and no count.
void Replica::Impl::expect_same_digest(const core::Digest& of_files) {
  const auto is_same = [&] { return IndexAccess::digest(*index) == of_files; };
  if (is_same()) return;
  if (!IndexAccess::contents(*index).graph.pending().empty()) {
    Following::flush(*index);
    if (is_same()) return;
  }
  refuse(path, "at the same operations it has another digest");
}

ReplicaLag Replica::Impl::lag() {
  expect_following();
  try {
    const bool is_current = follower->look();
    ReplicaLag lag{0, follower->bytes_ahead()};
    OperationCounts end = follower->lasting_counts();
    if (!is_current) {
      core::Follower next(path);
      if (next.go_to(*follower)) lag.bytes = 0;
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

// Nobody writes while the journal is locked. What is handed out comes from the files alone, as
// whoever opens them later will have it. The replica only says whether its history is theirs.
std::shared_ptr<Index> Replica::Impl::promote(Durability durability) {
  expect_following();
  try {
    show(std::make_shared<Index>(Following::open(path, durability, options,
                                                 [&](const Index& opened) {
                                                   follow();
                                                   expect_continuation(opened);
                                                 })),
         true);
  } catch (const DivergedError&) {
    note_failure();
    throw;
  }
  follower.reset();
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
