// Adding to a ShardedIndex, and replacing its vectors: all that can be refused, then rounds.

#include "common/shards/sharded_addition.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "common/base/finally.hpp"
#include "common/base/float_environment.hpp"

namespace concord {
namespace {

using Clock = std::chrono::steady_clock;

/// Rounds end together, so that an addition can be cancelled, and shards stay near one another.
constexpr double kRoundSeconds = 0.2;

std::uint64_t next_length(std::uint64_t length, double seconds) {
  const double factor = std::clamp(kRoundSeconds / std::max(seconds, 1e-6), 0.25, 4.0);
  return std::max<std::uint64_t>(1,
                                 static_cast<std::uint64_t>(factor * static_cast<double>(length)));
}

void lower(std::atomic<std::uint64_t>& number, std::uint64_t to) {
  std::uint64_t seen = number;
  while (to < seen && !number.compare_exchange_weak(seen, to)) {
  }
}

}  // namespace

ShardedIndex::Impl::Addition::Addition(Impl& impl, std::size_t count,
                                       std::span<const std::uint64_t> labels)
    : impl_(impl), first_(impl.next), count_(count), labels_(labels), parts_(impl.shards.size()) {
  if (count > std::numeric_limits<std::uint64_t>::max() / 2 - first_) {
    throw Error(ErrorCode::capacity,
                std::to_string(count) + " vectors are more than an index holds");
  }
  impl.has_died() ? deal({}) : deal_by_position();
  begin();
}

ShardedIndex::Impl::Addition::Addition(Impl& impl, std::span<const std::uint64_t> labels,
                                       std::vector<Owner> old)
    : impl_(impl),
      first_(impl.next),
      count_(labels.size()),
      labels_(labels),
      parts_(impl.shards.size()) {
  deal(old);
  begin();
}

void ShardedIndex::Impl::Addition::deal_by_position() {
  for (std::size_t s = 0; s < parts_.size(); ++s) {
    const std::uint64_t size = impl_.shards[s].size();
    const std::uint64_t end = impl_.placement.count_before(s, first_ + count_);
    parts_[s].count = end - std::min(end, size);
  }
}

void ShardedIndex::Impl::Addition::deal(std::span<const Owner> old) {
  is_dealt_ = true;
  std::vector<std::uint64_t> living;
  for (const Index& shard : impl_.shards) living.push_back(shard.size());
  core::Dealer dealer(impl_.placement, living);
  for (std::uint64_t number = 0; number < count_; ++number) {
    const bool is_old = !old.empty() && old[number].node != core::kNoNode;
    Part& part = parts_[is_old ? old[number].shard : dealer.next()];
    part.rows.push_back(number);
    if (!old.empty()) part.replaced.push_back(old[number].node);
  }
  for (Part& part : parts_) part.count = part.rows.size();
}

void ShardedIndex::Impl::Addition::begin() {
  for (std::size_t s = 0; s < parts_.size(); ++s) {
    Part& part = parts_[s];
    part.shard = s;
    part.first = IndexAccess::contents(impl_.shards[s]).graph.insertions();
    if (part.count > 0) part.addition.emplace(impl_.shards[s]);
  }
  for (Part& part : parts_) {
    if (part.addition) part.addition->reserve(part.count);
  }
}

// ------------------------------------------------------------------------------- who takes which

std::uint64_t ShardedIndex::Impl::Addition::row(const Part& part, std::uint64_t i) const noexcept {
  if (is_dealt_) return part.rows[i];
  return impl_.placement.position(part.shard, part.first + i) - first_;
}

std::uint64_t ShardedIndex::Impl::Addition::taken_before(const Part& part,
                                                         std::uint64_t number) const noexcept {
  if (!is_dealt_) {
    const std::uint64_t end = impl_.placement.count_before(part.shard, first_ + number);
    return end - std::min(end, part.first);
  }
  const auto place = std::ranges::lower_bound(part.rows, number);
  return static_cast<std::uint64_t>(place - part.rows.begin());
}

std::uint64_t ShardedIndex::Impl::Addition::run(const Part& part, std::uint64_t i,
                                                std::uint64_t& step) const {
  if (!is_dealt_) {
    step = impl_.placement.step();
    return impl_.placement.run(part.first + i);
  }
  step = i + 1 < part.count ? part.rows[i + 1] - part.rows[i] : 1;
  std::uint64_t length = 1;
  while (i + length < part.count && part.rows[i + length] == part.rows[i] + length * step) ++length;
  return length;
}

// --------------------------------------------------------------------------- what can be refused

void ShardedIndex::Impl::Addition::write(std::size_t number, MatrixView<const float> rows) {
  const core::VectorStore& store = IndexAccess::contents(impl_.shards.front()).vectors;
  store.check_shape(rows, "vectors");
  try {
    for (Part& part : parts_) {
      if (!is_dealt_) compare(part, number, rows);
      write(part, number, rows);
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::invalid_vector) throw;
    std::vector<float> unused(store.stride());
    for (std::size_t r = 0; r < rows.rows; ++r) {
      store.prepare(rows.row(r), unused.data(), "vector", number + r);
    }
    throw;
  }
}

void ShardedIndex::Impl::Addition::write(Part& part, std::size_t number,
                                         MatrixView<const float> rows) {
  const std::uint64_t end = taken_before(part, number + rows.rows);
  for (std::uint64_t i = taken_before(part, number); i < end;) {
    std::uint64_t step = 1;
    const std::uint64_t length = std::min(end - i, run(part, i, step));
    const MatrixView<const float> own(rows.row(row(part, i) - number), length, rows.cols,
                                      rows.stride * step);
    part.addition->write([&](core::VectorStore& store, std::size_t before) {
      store.write(before + i, own, *impl_.pool);
    });
    i += length;
  }
}

// An interrupted addition is resumed by the same vectors; others would be lost in silence.
void ShardedIndex::Impl::Addition::compare(const Part& part, std::size_t number,
                                           MatrixView<const float> rows) const {
  const core::Placement& where = impl_.placement;
  const std::uint64_t begin = first_ + number;
  const std::uint64_t end = where.count_before(part.shard, begin + rows.rows);
  for (std::uint64_t id = where.count_before(part.shard, begin); id < std::min(end, part.first);
       ++id) {
    compare(part, id, rows.row(where.position(part.shard, id) - begin));
  }
}

void ShardedIndex::Impl::Addition::compare(const Part& part, std::uint64_t id,
                                           const float* vector) const {
  const core::Contents& contents = IndexAccess::contents(impl_.shards[part.shard]);
  const std::size_t stride = contents.vectors.stride();
  std::vector<float> buffers(2 * stride);
  const std::uint64_t at = impl_.placement.position(part.shard, id);
  const std::uint64_t label = labels_.empty() ? at : labels_[at - first_];
  contents.vectors.prepare(vector, buffers.data(), "vector", at - first_);
  const float* const stored = contents.vectors.read(id, buffers.data() + stride);
  const bool same = std::memcmp(stored, buffers.data(), stride * sizeof(float)) == 0;
  if (same && contents.labels.label(static_cast<core::NodeId>(id)) == label) return;
  throw Error(ErrorCode::invalid_parameter,
              "vector " + std::to_string(at - first_) + " is not the one that shard " +
                  std::to_string(part.shard) + " has at position " + std::to_string(at) +
                  ", which an interrupted addition left; the same vectors and labels must come "
                  "again from resume_at() on");
}

std::uint64_t ShardedIndex::Impl::Addition::label_of(const Part& part,
                                                     std::uint64_t i) const noexcept {
  if (labels_.empty()) return impl_.placement.position(part.shard, part.first + i);
  return labels_[row(part, i)];
}

// With one shard numbers of insertion are positions, and the labels are the call's.
void ShardedIndex::Impl::Addition::take_labels(Part& part) const {
  if (labels_.empty() && parts_.size() == 1) return;
  part.labels.reserve(part.count);
  for (std::uint64_t i = 0; i < part.count; ++i) part.labels.push_back(label_of(part, i));
}

void ShardedIndex::Impl::Addition::label() {
  for (Part& part : parts_) take_labels(part);
  const bool may_replace =
      std::ranges::any_of(parts_, [](const Part& part) { return !part.replaced.empty(); });
  if (parts_.size() > 1 && !may_replace) expect_new_labels();
  for (Part& part : parts_) {
    if (!part.addition) continue;
    part.addition->label(part.labels, part.replaced);
    std::vector<std::uint64_t>().swap(part.labels);  // an empty list would leave the memory
    std::vector<core::NodeId>().swap(part.replaced);
  }
}

void ShardedIndex::Impl::Addition::expect_new_labels() const {
  std::atomic<std::uint64_t> old{count_};  // number in the call of the first that a shard has
  for (const Part& part : parts_) {
    impl_.pool->parallel_for(part.count, 1024, [&](unsigned, std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        if (impl_.owner_of(part.labels[i]).node != core::kNoNode) lower(old, row(part, i));
      }
    });
  }
  const std::uint64_t twice = first_repeated();
  const std::uint64_t first = std::min(old.load(), twice);
  if (first == count_) return;
  std::uint64_t label = 0;
  for (const Part& part : parts_) {
    const std::uint64_t i = taken_before(part, first);
    if (i < part.count && row(part, i) == first) label = part.labels[i];
  }
  throw Error(ErrorCode::duplicate_label,
              "label " + std::to_string(label) + " of vector " + std::to_string(first) +
                  (old <= twice ? " is already in the index" : " stands twice in the call") +
                  "; every label must be new");
}

/// The number of the first vector whose label was earlier in the call; count_ if there is none.
std::uint64_t ShardedIndex::Impl::Addition::first_repeated() const {
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

// --------------------------------------------------------------------------------------- rounds

void ShardedIndex::Impl::Addition::insert(const ProgressCallback& progress) {
  std::uint64_t lacking = 0;
  for (Part& part : parts_) {
    lacking += part.count;
    if (part.addition) part.addition->leave();
  }
  Reporter reporter(parts_, count_, count_ - lacking, progress);
  // Later positions may be there as well; only this call's can be acknowledged by it.
  const core::Finally note_end(
      [&] { impl_.next = is_dealt_ ? impl_.resume_position() : first_ + committed(); });
  std::uint64_t length = std::uint64_t{impl_.params.epoch_limit} * parts_.size();
  for (std::uint64_t end = 0; end < count_ && !reporter.is_cancelled();) {
    end = std::min(end + length, count_);
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

void ShardedIndex::Impl::Addition::insert_up_to(std::uint64_t end, Reporter& reporter) {
  std::vector<Part*> active;
  for (Part& part : parts_) {
    part.target = std::min(taken_before(part, end), part.count);
    if (part.target > part.done) active.push_back(&part);
  }
  if (active.empty()) return;
  Round(active, reporter).run(impl_.pool->size());
  if (impl_.log) impl_.log->deliver();
  for (const Part& part : parts_) {
    if (part.error) rethrow_of_shard(part.shard, part.error);
  }
}

std::size_t ShardedIndex::Impl::Addition::committed() const noexcept {
  std::uint64_t first = count_;
  for (const Part& part : parts_) {
    const core::Graph& graph = IndexAccess::contents(impl_.shards[part.shard]).graph;
    const std::uint64_t done = graph.insertions() - part.first;
    if (done < part.count) first = std::min(first, row(part, done));
  }
  return first;
}

// ------------------------------------------------------------------------------------------ add

std::size_t ShardedIndex::Impl::add(const RowSource& source, std::size_t count,
                                    std::span<const std::uint64_t> labels,
                                    const ProgressCallback& progress) {
  if (count == 0) return 0;
  check_labels(labels);
  std::size_t added = 0;
  deliver_after([&] {
    const core::FloatEnvironment environment;
    const core::WriterLock::Writing writing(writer_lock);
    const Changing changing(*this);
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
