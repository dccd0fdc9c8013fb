// Adding to a ShardedIndex: vectors and labels are checked over all shards, then inserted in
// rounds.
//
// First each shard takes its vectors and labels in, which can be refused and then has changed
// nothing. Then committing threads insert, a shard each. All shards end a round at one position
// before the next begins, so cancelling leaves a prefix of the vectors, as in one Index. What a
// failure or a crash leaves is at most a round from a prefix, and is skipped when it comes again.
// How long a round is changes no bit, because a graph does not depend on the split of additions.

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <limits>
#include <mutex>
#include <new>
#include <optional>
#include <thread>
#include <utility>

#include "common/base/finally.hpp"
#include "common/base/float_environment.hpp"
#include "common/index/addition.hpp"
#include "common/shards/sharded_impl.hpp"
#include "common/threads/after_fork.hpp"
#include "common/threads/start_thread.hpp"

namespace concord {
namespace {

using Clock = std::chrono::steady_clock;

/// Rounds end together, so that an addition can be cancelled, and shards stay near one another.
constexpr double kRoundSeconds = 0.2;
constexpr std::chrono::milliseconds kReportInterval{20};

/// What one shard takes of an addition: its ids from `first` on.
struct Part {
  std::size_t shard = 0;
  std::uint64_t first = 0;            ///< the shard's size before
  std::uint64_t count = 0;            ///< vectors that it lacks
  std::vector<std::uint64_t> labels;  ///< [count], or none where they are ids
  std::optional<IndexAccess::Addition> addition;
  std::uint64_t target = 0;            ///< vectors that it has at the end of the round
  std::atomic<std::uint64_t> done{0};  ///< vectors inserted
  std::exception_ptr error;
};

/// Threads of the parent are not in a forked child: not those that insert, nor those that a shard
/// waits for. So an addition ends in the child.
class Parent {
 public:
  [[nodiscard]] bool is_here() const noexcept { return core::AfterFork::count() == forks_; }
  /// Throws Error(unsupported) in the child.
  void expect_here() const {
    if (is_here()) return;
    throw Error(ErrorCode::unsupported,
                "the progress callback of an addition forked this process; the addition goes on in "
                "the parent alone");
  }

 private:
  unsigned forks_ = core::AfterFork::count();
};

/// Tells the caller how far an addition is, on the calling thread.
class Reporter {
 public:
  Reporter(const std::vector<Part>& parts, std::uint64_t total, std::uint64_t skipped,
           const ProgressCallback& progress)
      : parts_(parts), total_(total), skipped_(skipped), progress_(progress) {}

  [[nodiscard]] bool is_wanted() const noexcept { return progress_ != nullptr; }
  [[nodiscard]] bool is_cancelled() const noexcept { return cancelled_; }
  [[nodiscard]] const Parent& parent() const noexcept { return parent_; }
  /// Not more often than is useful.
  void ask() {
    const Clock::time_point now = Clock::now();
    if (now - last_ < kReportInterval) return;
    last_ = now;
    report();
  }
  void report() {
    if (!progress_ || cancelled_) return;
    std::uint64_t done = skipped_;
    for (const Part& part : parts_) done += part.done;
    cancelled_ = !progress_(done, total_);
  }

 private:
  const std::vector<Part>& parts_;
  std::uint64_t total_;
  std::uint64_t skipped_;
  const ProgressCallback& progress_;
  Clock::time_point last_{};
  bool cancelled_ = false;
  Parent parent_;
};

/// Inserts the parts of a round, on as many threads as there may be.
class Round {
 public:
  Round(std::vector<Part*> parts, Reporter& reporter)
      : parts_(std::move(parts)), reporter_(reporter) {}

  /// Returns when all parts are inserted or have failed; the calling thread inserts as well. Throws
  /// what the progress callback throws, and Error(unsupported) in a child that it forked.
  void run(unsigned threads) {
    std::vector<std::thread> others(std::min<std::size_t>(threads, parts_.size()) - 1);
    running_ = others.size();
    std::exception_ptr thrown;
    for (std::thread& other : others) {
      if (!start(other)) end_one();
    }
    insert_parts(true);
    try {
      wait();
    } catch (...) {
      thrown = std::current_exception();
    }
    for (std::thread& other : others) {
      if (!other.joinable()) continue;
      reporter_.parent().is_here() ? other.join() : other.detach();
    }
    reporter_.parent().expect_here();
    if (thrown) std::rethrow_exception(thrown);
  }

 private:
  /// False where the system has no thread, or no memory for one; the others do its work.
  bool start(std::thread& other) {
    try {
      return core::start_thread(other, [this] {
        insert_parts(false);
        end_one();
      });
    } catch (const std::bad_alloc&) {
      return false;
    }
  }

  void end_one() {
    const std::lock_guard lock(mutex_);
    --running_;
    ended_.notify_one();
  }

  void insert_parts(bool is_caller) {
    for (;;) {
      const std::size_t i = next_++;
      if (i >= parts_.size() || !reporter_.parent().is_here()) return;
      Part& part = *parts_[i];
      try {
        insert(part, is_caller);
      } catch (...) {
        part.error = std::current_exception();
      }
    }
  }

  void insert(Part& part, bool is_caller) {
    const std::uint64_t before = part.done;
    ProgressCallback progress;
    if (reporter_.is_wanted()) {
      progress = [&](std::uint64_t done, std::uint64_t) {
        part.done = before + done;
        if (is_caller) reporter_.ask();
        return true;  // the round ends in all shards at one position
      };
    }
    part.done = part.addition->insert(part.target, progress);
  }

  /// In a forked child it touches nothing that another thread may have held.
  void wait() {
    while (reporter_.parent().is_here()) {
      std::unique_lock lock(mutex_);
      if (ended_.wait_for(lock, kReportInterval, [&] { return running_ == 0; })) return;
      lock.unlock();
      reporter_.ask();
    }
  }

  std::vector<Part*> parts_;
  Reporter& reporter_;
  std::atomic<std::size_t> next_{0};
  std::mutex mutex_;
  std::condition_variable ended_;
  std::size_t running_ = 0;  ///< other threads
};

/// Throws what a shard threw, saying which it was.
[[noreturn]] void rethrow(const Part& part) {
  try {
    std::rethrow_exception(part.error);
  } catch (const Error& error) {
    throw Error(error.code(), "shard " + std::to_string(part.shard) + ": " + error.what());
  }
}

}  // namespace

/// One call of add: taken in by all shards, or by none.
class ShardedIndex::Impl::Addition {
 public:
  Addition(Impl& impl, std::size_t count, std::span<const std::uint64_t> labels)
      : impl_(impl), first_(impl.next), count_(count), labels_(labels), parts_(impl.shards.size()) {
    if (count > std::numeric_limits<std::uint64_t>::max() / 2 - first_) {
      throw Error(ErrorCode::capacity,
                  std::to_string(count) + " vectors are more than an index holds");
    }
    for (std::size_t s = 0; s < parts_.size(); ++s) {
      Part& part = parts_[s];
      part.shard = s;
      part.first = impl.shards[s].size();
      const std::uint64_t end = impl.placement.count_before(s, first_ + count);
      part.count = end - std::min(end, part.first);
      if (part.count == 0) continue;
      part.addition.emplace(impl.shards[s]);
    }
    for (Part& part : parts_) {
      if (part.addition) part.addition->reserve(part.count);
    }
  }

  /// Takes rows in, which are the call's from number `number` on, or compares them where their
  /// shards have them.
  void write(std::size_t number, MatrixView<const float> rows) {
    const core::VectorStore& store = IndexAccess::contents(impl_.shards.front()).vectors;
    store.check_shape(rows, "vectors");
    try {
      for (Part& part : parts_) write(part, number, rows);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::invalid_vector) throw;
      std::vector<float> unused(store.stride());
      for (std::size_t r = 0; r < rows.rows; ++r) {
        store.prepare(rows.row(r), unused.data(), "vector", number + r);
      }
      throw;
    }
  }

  /// Gives the vectors their labels, unless one of them is in some shard already.
  void label() {
    for (Part& part : parts_) take_labels(part);
    if (parts_.size() > 1) expect_new_labels();
    for (Part& part : parts_) {
      if (part.addition) part.addition->label(std::exchange(part.labels, {}));
    }
  }

  void insert(const ProgressCallback& progress) {
    std::uint64_t lacking = 0;
    for (Part& part : parts_) {
      lacking += part.count;
      if (part.addition) part.addition->leave();
    }
    Reporter reporter(parts_, count_, count_ - lacking, progress);
    const core::Finally note_end([&] { note_how_far(); });
    std::uint64_t length = std::uint64_t{impl_.params.epoch_limit} * parts_.size();
    for (std::uint64_t end = first_; end < first_ + count_ && !reporter.is_cancelled();) {
      end = std::min(end + length, first_ + count_);
      const Clock::time_point start = Clock::now();
      insert_up_to(end, reporter);
      const std::chrono::duration<double> took = Clock::now() - start;
      length = next_length(length, took.count());
      reporter.ask();
      reporter.parent().expect_here();
    }
    reporter.report();
    reporter.parent().expect_here();
  }
  /// How many of the call's vectors are committed, from its first on.
  [[nodiscard]] std::size_t committed() const noexcept { return impl_.next - first_; }

 private:
  static std::uint64_t next_length(std::uint64_t length, double seconds) {
    const double factor = std::clamp(kRoundSeconds / std::max(seconds, 1e-6), 0.25, 4.0);
    return std::max<std::uint64_t>(
        1, static_cast<std::uint64_t>(factor * static_cast<double>(length)));
  }

  [[nodiscard]] std::uint64_t position(const Part& part, std::uint64_t id) const noexcept {
    return impl_.placement.position(part.shard, id);
  }
  [[nodiscard]] std::uint64_t label_at(std::uint64_t position) const noexcept {
    return labels_.empty() ? position : labels_[position - first_];
  }

  void write(Part& part, std::size_t number, MatrixView<const float> rows) {
    const core::Placement& where = impl_.placement;
    const std::uint64_t begin = first_ + number;
    const std::uint64_t end = where.count_before(part.shard, begin + rows.rows);
    std::uint64_t id = where.count_before(part.shard, begin);
    for (; id < std::min(end, part.first); ++id) {
      compare(part, id, rows.row(position(part, id) - begin));
    }
    while (id < end) {
      const std::uint64_t run = std::min(end - id, where.run(id));
      const MatrixView<const float> own(rows.row(position(part, id) - begin), run, rows.cols,
                                        rows.stride * where.step());
      part.addition->write([&](core::VectorStore& store, std::size_t before) {
        store.write(before + (id - part.first), own, *impl_.pool);
      });
      id += run;
    }
  }

  // An interrupted addition is resumed by the same vectors; others would be lost in silence.
  void compare(const Part& part, std::uint64_t id, const float* row) const {
    const core::Contents& contents = IndexAccess::contents(impl_.shards[part.shard]);
    const std::size_t stride = contents.vectors.stride();
    std::vector<float> buffers(2 * stride);
    const std::uint64_t at = position(part, id);
    contents.vectors.prepare(row, buffers.data(), "vector", at - first_);
    const float* const stored = contents.vectors.read(id, buffers.data() + stride);
    const bool same = std::memcmp(stored, buffers.data(), stride * sizeof(float)) == 0;
    if (same && contents.labels.label(static_cast<core::NodeId>(id)) == label_at(at)) return;
    throw Error(ErrorCode::invalid_parameter,
                "vector " + std::to_string(at - first_) + " is not the one that shard " +
                    std::to_string(part.shard) + " has at position " + std::to_string(at) +
                    ", which an interrupted addition left; the same vectors and labels must come "
                    "again from resume_at() on");
  }

  // With one shard the ids are the positions, and the labels are the call's.
  void take_labels(Part& part) const {
    if (part.count == 0) return;
    if (labels_.empty() && parts_.size() == 1) return;
    part.labels.reserve(part.count);
    for (std::uint64_t id = part.first; id < part.first + part.count; ++id) {
      part.labels.push_back(label_at(position(part, id)));
    }
  }

  /// Throws Error(duplicate_label) for the first vector whose label is in a shard, or was earlier
  /// in the call.
  void expect_new_labels() const {
    std::atomic<std::uint64_t> old{count_};  // number in the call of the first that a shard has
    for (const Part& part : parts_) {
      impl_.pool->parallel_for(part.count, 1024, [&](unsigned, std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) {
          if (is_in_a_shard(part.labels[i])) lower(old, position(part, part.first + i) - first_);
        }
      });
    }
    const std::uint64_t twice = first_repeated();
    const std::uint64_t first = std::min(old.load(), twice);
    if (first == count_) return;
    throw Error(ErrorCode::duplicate_label,
                "label " + std::to_string(label_at(first_ + first)) + " of vector " +
                    std::to_string(first) +
                    (old <= twice ? " is already in the index" : " stands twice in the call") +
                    "; every label must be new");
  }

  [[nodiscard]] bool is_in_a_shard(std::uint64_t label) const {
    return std::any_of(parts_.begin(), parts_.end(), [&](const Part& part) {
      const core::LabelMap& labels = IndexAccess::contents(impl_.shards[part.shard]).labels;
      return labels.find(label, static_cast<core::NodeId>(part.first)) != core::kNoNode;
    });
  }

  static void lower(std::atomic<std::uint64_t>& number, std::uint64_t to) {
    std::uint64_t seen = number;
    while (to < seen && !number.compare_exchange_weak(seen, to)) {
    }
  }

  /// The number of the first vector whose label was earlier in the call; count_ if there is none.
  [[nodiscard]] std::uint64_t first_repeated() const {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> order;  // label, number
    order.reserve(labels_.size());
    for (const std::uint64_t label : labels_) order.emplace_back(label, order.size());
    std::sort(order.begin(), order.end());
    std::uint64_t first = count_;
    for (std::size_t i = 1; i < order.size(); ++i) {
      if (order[i].first == order[i - 1].first) first = std::min(first, order[i].second);
    }
    return first;
  }

  void insert_up_to(std::uint64_t end, Reporter& reporter) {
    std::vector<Part*> active;
    for (Part& part : parts_) {
      const std::uint64_t own = impl_.placement.count_before(part.shard, end);
      part.target = own - std::min(own, part.first);
      if (part.target > part.done) active.push_back(&part);
    }
    if (active.empty()) return;
    Round(active, reporter).run(impl_.pool->size());
    if (impl_.log) impl_.log->deliver();
    for (const Part& part : parts_) {
      if (part.error) rethrow(part);
    }
  }

  // Later positions may be there as well; only this call's can be acknowledged by it.
  void note_how_far() noexcept {
    impl_.next = std::clamp(impl_.first_missing(), first_, first_ + count_);
  }

  Impl& impl_;
  std::uint64_t first_;  ///< position of the call's first vector
  std::uint64_t count_;
  std::span<const std::uint64_t> labels_;
  std::vector<Part> parts_;
};

std::size_t ShardedIndex::Impl::add(const RowSource& source, std::size_t count,
                                    std::span<const std::uint64_t> labels,
                                    const ProgressCallback& progress) {
  if (count == 0) return 0;
  check_labels(labels);
  std::size_t added = 0;
  deliver_after([&] {
    const core::FloatEnvironment environment;
    const core::WriterLock::Writing writing(writer_lock);
    Addition addition(*this, count, labels);
    for (std::size_t done = 0; done < count;) {
      const MatrixView<const float> rows = source(done);
      check_piece(rows.rows, done, count);
      addition.write(done, rows);
      done += rows.rows;
    }
    addition.label();
    addition.insert(progress);
    added = addition.committed();
  });
  return added;
}

std::size_t ShardedIndex::add(MatrixView<const float> vectors, const ProgressCallback& progress) {
  return add_from([&](std::size_t) { return vectors; }, vectors.rows, {}, progress);
}

std::size_t ShardedIndex::add(MatrixView<const float> vectors,
                              std::span<const std::uint64_t> labels,
                              const ProgressCallback& progress) {
  check_label_count(labels.size(), vectors.rows);
  return add_from([&](std::size_t) { return vectors; }, vectors.rows, labels, progress);
}

std::size_t ShardedIndex::add_from(const RowSource& source, std::size_t count,
                                   std::span<const std::uint64_t> labels,
                                   const ProgressCallback& progress) {
  if (!labels.empty()) check_label_count(labels.size(), count);
  return impl_->add(source, count, labels, progress);
}

}  // namespace concord
