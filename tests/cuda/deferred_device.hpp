// A HostDevice that is as asynchronous as a GPU may be, to show what a HostDevice hides.
//
// Work is queued and run as late as events allow (nothing before some thread waits for it), or in a
// random order that streams and events permit. It reports, as failed expectations:
//  - copies from or to memory that is neither pinned nor the device's, or was released;
//  - memory released while work on it was pending;
//  - two pieces of work on the same memory, one of them writing, that no event orders;
//  - times asked of events that were never recorded or have not completed.
// If the host changes memory too early, the result shows it, because the copy runs later.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <concord/error.hpp>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <vector>

#include "tests/support/data_sets.hpp"
#include "tests/support/host_device.hpp"

namespace concord::test {

class DeferredDevice : public cuda::HostDevice {
 public:
  /// `seed` 0: as late as possible; else random.
  explicit DeferredDevice(std::uint64_t seed, std::size_t memory = std::size_t{1} << 32)
      : cuda::HostDevice(memory), seed_(seed) {}
  ~DeferredDevice() override {
    for (auto& [stream, queue] : queues_) {
      EXPECT_TRUE(queue.pending.empty()) << "work pending at the end";
    }
  }

 protected:
  using Stream = cuda::Stream;
  using Event = cuda::Event;

  void do_release(void* memory) noexcept override {
    forget(memory);
    HostDevice::do_release(memory);
  }
  void do_release_pinned(void* memory) noexcept override {
    forget(memory);
    HostDevice::do_release_pinned(memory);
  }
  void do_record(Event event, Stream stream) override {
    const std::lock_guard lock(queue_mutex_);
    events_[event] = {stream, queues_[stream].given, clock_of(stream)};
  }
  void do_wait(Stream stream, Event event) override {
    const std::lock_guard lock(queue_mutex_);
    const auto found = events_.find(event);
    if (found == events_.end()) return;  // never recorded: CUDA does not wait
    const auto [of, position, clock] = found->second;
    join(queues_[stream].clock, clock);
    push(stream, {[this, of = of, position = position] { run_until(of, position); }, {}, {}, 0});
  }
  void do_synchronize(Event event) override {
    const std::lock_guard lock(queue_mutex_);
    const auto found = events_.find(event);
    if (found == events_.end()) return;
    run_until(found->second.stream, found->second.position);
    join(host_clock_, found->second.clock);
  }
  void do_drain(Stream stream) noexcept override {
    const std::lock_guard lock(queue_mutex_);
    run_until(stream, queues_[stream].given);
    join(host_clock_, clock_of(stream));
  }
  double do_elapsed(Event from, Event to) override {
    const std::lock_guard lock(queue_mutex_);
    for (const Event event : {from, to}) {
      const auto found = events_.find(event);
      EXPECT_TRUE(found != events_.end()) << "time of an event never recorded";
      if (found == events_.end()) continue;
      EXPECT_GE(queues_[found->second.stream].done, found->second.position) << "not completed";
    }
    return 1e-6;
  }

  void do_copy_async(void* to, const void* from, std::size_t bytes, Stream stream) override {
    give(stream, {{from, bytes, false}, {to, bytes, true}},
         [=, this] { HostDevice::do_copy_async(to, from, bytes, stream); });
  }
  void do_fill_async(void* to, int byte, std::size_t bytes, Stream stream) override {
    give(stream, {{to, bytes, true}},
         [=, this] { HostDevice::do_fill_async(to, byte, bytes, stream); });
  }
  void do_propose_async(const cuda::MirrorView& view, const cuda::ProposeTask& task,
                        Stream stream) override {
    std::vector<Range> ranges = graph_ranges(view);
    ranges.push_back(
        {task.first_list, (task.end - task.begin + 1) * sizeof(*task.first_list), false});
    ranges.push_back({task.ids, whole, true});
    ranges.push_back({task.tail_distances, whole, true});
    ranges.push_back({task.counters, sizeof(cuda::Counters), true});
    give(stream, std::move(ranges),
         [=, this] { HostDevice::do_propose_async(view, task, stream); });
  }
  void do_score_lists_async(const cuda::MirrorView& view, const cuda::ScoreTask& task,
                            Stream stream) override {
    give(stream,
         {vector_range(view),
          {task.lists, task.count * sizeof(*task.lists), false},
          {task.ids, whole, false},
          {task.ranking, whole, true},
          {task.dominators, whole, true},
          {task.counters, sizeof(cuda::Counters), true}},
         [=, this] { HostDevice::do_score_lists_async(view, task, stream); });
  }
  void do_search_async(const cuda::MirrorView& view, const cuda::SearchTask& task,
                       Stream stream) override {
    give(stream, search_ranges(view, task),
         [=, this] { HostDevice::do_search_async(view, task, stream); });
  }
  void do_walk_matches_async(const cuda::MirrorView& view, const cuda::FilteredTask& task,
                             Stream stream) override {
    give(stream, filtered_ranges(view, task),
         [=, this] { HostDevice::do_walk_matches_async(view, task, stream); });
  }
  void do_scan_matches_async(const cuda::MirrorView& view, const cuda::FilteredTask& task,
                             Stream stream) override {
    give(stream, filtered_ranges(view, task),
         [=, this] { HostDevice::do_scan_matches_async(view, task, stream); });
  }
  void do_mark_ids_async(const cuda::MarkTask& task, Stream stream) override {
    give(stream, {{task.ids, task.count * sizeof(*task.ids), false}, {task.bits, whole, true}},
         [=, this] { HostDevice::do_mark_ids_async(task, stream); });
  }
  void do_select_ids_async(const cuda::SelectTask& task, Stream stream) override {
    give(stream,
         {{task.bits, cuda::FilterView::words(task.end) * sizeof(*task.bits), false},
          {task.ids, whole, true},
          {task.count, sizeof(*task.count), true}},
         [=, this] { HostDevice::do_select_ids_async(task, stream); });
  }
  void do_write_results_async(const cuda::ResultTask& task, Stream stream) override {
    const auto rows = [&](const auto* to, std::size_t stride) {
      return Range{to, ((task.count - 1) * stride + task.k) * sizeof(*to), true};
    };
    give(stream,
         {{task.keys, std::size_t{task.count} * task.k * sizeof(*task.keys), false},
          {task.found, task.count * sizeof(*task.found), false},
          {task.label_of, whole, false},
          rows(task.labels, task.labels_stride),
          rows(task.distances, task.distances_stride),
          {task.counts, task.count * sizeof(*task.counts), true}},
         [=, this] { HostDevice::do_write_results_async(task, stream); });
  }
  void do_exact_async(const cuda::MirrorView& view, const cuda::ExactTask& task,
                      Stream stream) override {
    give(stream,
         {vector_range(view),
          {task.queries, whole, false},
          {task.out, task.count * std::size_t{task.k} * sizeof(*task.out), true},
          {task.scratch, task.scratch_floats * sizeof(float), true}},
         [=, this] { HostDevice::do_exact_async(view, task, stream); });
  }
  void do_scatter_async(const cuda::ScatterTask& task, Stream stream) override {
    std::vector<Range> ranges = {
        {task.list_index, task.count * sizeof(*task.list_index), false},
        {task.ids, std::size_t{task.count} * task.width * sizeof(*task.ids), false}};
    ranges.push_back({task.links, whole, true});
    give(stream, std::move(ranges), [=, this] { HostDevice::do_scatter_async(task, stream); });
  }
  void do_sort_gains_async(const cuda::SortGainsTask& task, Stream stream) override {
    std::vector<Range> ranges = link_ranges(task.links, task.upper_offset);
    for (unsigned t = 0; t < cuda::kTables; ++t) {
      for (const cuda::Gains& gains : {task.found[t], task.sorted[t]}) {
        for (Range& range : ranges_of(gains, true)) ranges.push_back(range);
      }
    }
    give(stream, std::move(ranges), [=, this] { HostDevice::do_sort_gains_async(task, stream); });
  }
  void do_append_links_async(const cuda::AppendTask& task, Stream stream) override {
    std::vector<Range> ranges = link_ranges(task.links, task.upper_offset);
    for (unsigned t = 0; t < cuda::kTables; ++t) {
      for (Range& range : ranges_of(task.sorted[t], false)) ranges.push_back(range);
      ranges.push_back({task.tables[t], whole, true});
    }
    give(stream, std::move(ranges), [=, this] { HostDevice::do_append_links_async(task, stream); });
  }
  void do_find_largest_async(const cuda::LargestTask& task, Stream stream) override {
    const std::size_t floats = (task.count - 1) * task.from_stride + task.dimension;
    give(stream,
         {{task.from, floats * sizeof(float), false}, {task.out, sizeof(std::uint32_t), true}},
         [=, this] { HostDevice::do_find_largest_async(task, stream); });
  }
  void do_take_rows_async(const cuda::TakeTask& task, Stream stream) override {
    const std::size_t floats = (task.count - 1) * task.from_stride + task.dimension;
    give(stream,
         {{task.from, floats * sizeof(float), false},
          {task.to, std::size_t{task.count} * task.stride * sizeof(float), true},
          {task.refused, sizeof(std::uint32_t), true},
          {task.largest, sizeof(std::uint32_t), false}},
         [=, this] { HostDevice::do_take_rows_async(task, stream); });
  }

 private:
  using Clock = std::map<Stream, std::uint64_t>;         ///< work of each stream known to precede
  static constexpr std::size_t whole = ~std::size_t{0};  ///< to the end of the block

  struct Range {
    const void* begin;
    std::size_t bytes;
    bool writes;
  };
  struct Work {
    std::function<void()> run;
    std::vector<Range> ranges;
    Clock clock;
    std::uint64_t position;
  };
  struct Queue {
    std::deque<Work> pending;
    std::uint64_t given = 0;
    std::uint64_t done = 0;
    Clock clock;
  };
  struct Recorded {
    Stream stream;
    std::uint64_t position;
    Clock clock;
  };
  struct Past {
    Stream stream;
    std::uint64_t position;
    std::vector<Range> ranges;
  };

  static void join(Clock& into, const Clock& other) {
    for (const auto& [stream, position] : other) {
      into[stream] = std::max(into[stream], position);
    }
  }
  static const char* end_of(const Range& range) {
    return static_cast<const char*>(range.begin) + range.bytes;
  }
  static bool overlap(const Range& a, const Range& b) {
    return a.begin < end_of(b) && b.begin < end_of(a);
  }
  static Range vector_range(const cuda::MirrorView& view) {
    return {view.vectors, std::size_t{view.n} * view.stride * sizeof(float), false};
  }
  static std::vector<Range> graph_ranges(const cuda::MirrorView& view) {
    return {vector_range(view),
            {view.levels, view.n, false},
            {view.upper_offset, view.n * sizeof(*view.upper_offset), false},
            {view.links, whole, false},
            {view.upper_links, whole, false}};
  }

  static std::vector<Range> search_ranges(const cuda::MirrorView& view,
                                          const cuda::SearchTask& task) {
    std::vector<Range> ranges = graph_ranges(view);
    if (view.has_continued) {
      ranges.push_back({view.more_links, whole, false});
      ranges.push_back({view.more_upper_links, whole, false});
    }
    ranges.push_back({task.queries, whole, false});
    ranges.push_back({task.out, task.count * std::size_t{task.k} * sizeof(*task.out), true});
    ranges.push_back({task.counts, task.count * sizeof(*task.counts), true});
    ranges.push_back({task.counters, sizeof(cuda::Counters), true});
    return ranges;
  }
  /// Without the filters' own memory, which their views name.
  static std::vector<Range> filtered_ranges(const cuda::MirrorView& view,
                                            const cuda::FilteredTask& task) {
    std::vector<Range> ranges = search_ranges(view, task.search);
    ranges.push_back({task.filters, sizeof(*task.filters), false});
    ranges.push_back({task.filter_of, task.search.count * sizeof(*task.filter_of), false});
    return ranges;
  }

  static std::vector<Range> link_ranges(const cuda::CommittedLinks& links,
                                        const std::uint32_t* upper_offset) {
    const cuda::NodeId end = links.begin + links.nodes;
    return {{links.first_list, (links.nodes + 1) * sizeof(*links.first_list), false},
            {links.ids, std::size_t{links.lists} * links.M * sizeof(*links.ids), false},
            {upper_offset, end * sizeof(*upper_offset), false}};
  }
  static std::array<Range, 2> ranges_of(const cuda::Gains& gains, bool writes) {
    return {{{gains.list, gains.count * sizeof(*gains.list), writes},
             {gains.id, gains.count * sizeof(*gains.id), writes}}};
  }

  Clock clock_of(Stream stream) {
    Clock clock = queues_[stream].clock;
    clock[stream] = queues_[stream].given;
    return clock;
  }

  void give(Stream stream, std::vector<Range> ranges, std::function<void()> run) {
    const std::lock_guard lock(queue_mutex_);
    std::erase_if(ranges, [](const Range& r) { return r.begin == nullptr || r.bytes == 0; });
    for (Range& range : ranges) {
      const std::size_t left = bytes_from(range.begin);
      EXPECT_GT(left, 0u) << "memory that is neither pinned nor the device's";
      if (range.bytes == whole) range.bytes = left;
      EXPECT_LE(range.bytes, left) << "beyond the end of its memory";
    }
    push(stream, {std::move(run), std::move(ranges), {}, 0});
    maybe_run_some();
  }

  void push(Stream stream, Work work) {
    Queue& queue = queues_[stream];
    join(queue.clock, host_clock_);
    work.position = ++queue.given;
    check_order(stream, work, queue.clock);
    past_.push_back({stream, work.position, work.ranges});
    queue.pending.push_back(std::move(work));
  }

  void check_order(Stream stream, const Work& work, const Clock& clock) {
    std::erase_if(past_, [&](const Past& past) {
      const auto known = host_clock_.find(past.stream);
      return known != host_clock_.end() && known->second >= past.position;
    });
    for (const Past& past : past_) {
      if (past.stream == stream) continue;
      const auto known = clock.find(past.stream);
      if (known != clock.end() && known->second >= past.position) continue;
      for (const Range& a : past.ranges) {
        for (const Range& b : work.ranges) {
          EXPECT_FALSE((a.writes || b.writes) && overlap(a, b))
              << "unordered work on the same memory: streams " << past.stream << " and " << stream;
        }
      }
    }
  }

  void run_until(Stream stream, std::uint64_t position) {
    Queue& queue = queues_[stream];
    while (queue.done < position && !queue.pending.empty()) run_one(queue);
  }
  void run_one(Queue& queue) {
    const Work work = std::move(queue.pending.front());
    queue.pending.pop_front();
    work.run();
    queue.done = work.position;
  }
  void maybe_run_some() {
    if (seed_ == 0) return;
    for (std::uint64_t steps = hash(seed_, ++drawn_) % 4; steps > 0; --steps) {
      auto at = queues_.begin();
      std::advance(at, static_cast<std::ptrdiff_t>(hash(seed_, ++drawn_) % queues_.size()));
      if (!at->second.pending.empty()) run_one(at->second);
    }
  }

  // On a GPU the pending work would be on memory that is no longer there.
  void forget(void* memory) noexcept {
    const std::lock_guard lock(queue_mutex_);
    const Range block{memory, bytes_from(memory), true};
    for (auto& [stream, queue] : queues_) {
      const bool used = std::any_of(queue.pending.begin(), queue.pending.end(), [&](auto& work) {
        return std::any_of(work.ranges.begin(), work.ranges.end(),
                           [&](const Range& range) { return overlap(range, block); });
      });
      EXPECT_FALSE(used) << "memory released while work on it is pending";
      if (used) run_until(stream, queue.given);
    }
    std::erase_if(past_, [&](const Past& past) {
      return std::any_of(past.ranges.begin(), past.ranges.end(),
                         [&](const Range& range) { return overlap(range, block); });
    });
  }

  const std::uint64_t seed_;
  std::uint64_t drawn_ = 0;
  std::mutex queue_mutex_;
  std::map<Stream, Queue> queues_;
  std::map<Event, Recorded> events_;
  std::vector<Past> past_;  ///< work the host does not know to be done
  Clock host_clock_;
};

}  // namespace concord::test
