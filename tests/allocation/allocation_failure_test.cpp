// Memory that runs out at any allocation: a typed error or std::bad_alloc, and an index that is
// what it was, or holds a prefix of the addition, and goes on.

#include <concord/sharded_index.hpp>

#include "common/contents/digest.hpp"
#include "common/contents/slide.hpp"
#include "common/file/file_layout.hpp"
#include "common/graph/epoch.hpp"
#include "tests/allocation/failing_allocations.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/index_file.hpp"
#include "tests/support/relaying_proposer.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

constexpr std::size_t kBefore = 90;
constexpr std::size_t kAfter = 240;

IndexParams params_of(Metric metric) { return make_params(5, 3, 12, 32, metric); }

std::vector<std::uint64_t> labels_of(std::size_t first, std::size_t last) {
  std::vector<std::uint64_t> labels;
  for (std::size_t i = first; i < last; ++i) labels.push_back(i * 5 + 1);
  return labels;
}

/// Digests of the index at every size.
std::vector<std::string> digests_of(const Matrix& data, Metric metric, bool with_labels) {
  Index index(params_of(metric));
  std::vector<std::string> digests{index.digest()};
  for (std::size_t i = 0; i < data.rows; ++i) {
    if (with_labels) {
      index.add(data.slice(i, 1), labels_of(i, i + 1));
    } else {
      index.add(data.slice(i, 1));
    }
    digests.push_back(index.digest());
  }
  return digests;
}

/// Whole numbers up to kBefore, which are kept as bytes, then others: an addition changes that,
/// too.
Matrix mixed_data() {
  Matrix data = make_data(Shape::clustered, kAfter, 5);
  for (std::size_t i = 0; i < kBefore * 5; ++i) {
    data.values[i] = static_cast<float>(static_cast<int>(data.values[i]));
  }
  return data;
}

bool at_epoch_end(std::size_t size) {
  const auto n = static_cast<core::NodeId>(size);
  return core::Epoch::of(n, params_of(Metric::l2sq).epoch_limit).begin == n;
}

void add(Index& index, const Matrix& data, std::size_t first, std::size_t last, bool with_labels) {
  if (with_labels) {
    index.add(data.slice(first, last - first), labels_of(first, last));
  } else {
    index.add(data.slice(first, last - first));
  }
}

RuntimeOptions one_thread() {
  RuntimeOptions options;
  options.threads = 1;
  options.device = "cpu";
  return options;
}

Index open_durable(const TempPath& path) {
  return Index::open(path, params_of(Metric::l2sq), Durability::system, one_thread());
}

TEST(AllocationFailure, AtEveryAllocationOfAnAddition) {
  const Matrix data = mixed_data();
  for (const bool with_labels : {false, true}) {
    for (const unsigned threads : {1u, 3u}) {
      const std::vector<std::string> digests = digests_of(data, Metric::l2sq, with_labels);
      RuntimeOptions options;
      options.threads = threads;
      options.device = "cpu";
      std::int64_t n = 0;
      for (bool done = false; !done; ++n) {
        SCOPED_TRACE("allocation " + std::to_string(n) + ", threads " + std::to_string(threads));
        Index index(params_of(Metric::l2sq), options);
        add(index, data, 0, kBefore, with_labels);
        done = ends_before(n, [&] { add(index, data, kBefore, kAfter, with_labels); });
        ASSERT_GE(index.size(), kBefore);
        // At an epoch's end it may be the seal that failed: it is made up for by the next addition.
        if (at_epoch_end(index.size())) {
          expect_sound(index.audit());
        } else {
          ASSERT_EQ(index.digest(), digests[index.size()]);
        }
        const TempPath file;
        index.save(file);
        Index saved = Index::load(file, options);
        ASSERT_EQ(saved.digest(), index.digest());
        for (Index* const one : {&index, &saved}) {
          if (one->size() < kAfter) add(*one, data, one->size(), kAfter, with_labels);
          ASSERT_EQ(one->digest(), digests[kAfter]);
        }
      }
      EXPECT_GT(n, 5);
    }
  }
}

// What finds copies knows all nodes again, whichever of its tables could not grow.
TEST(AllocationFailure, OfCopiesChangesNoIndex) {
  const Matrix distinct = make_data(Shape::random, 250, 3);
  Matrix data(700, 3);
  for (std::size_t r = 0; r < data.rows; ++r) {
    const std::size_t like = r % 3 == 2 ? hash(1, r) % r : r;  // one in three repeats another
    std::copy_n(distinct.row(like % distinct.rows), 3, data.row(r));
  }
  const IndexParams params = make_params(3, 3, 12, 32, Metric::l2sq);
  Index all(params, one_thread());
  all.add(data.view());
  EXPECT_GT(all.stats().copies, 100u);
  bool done = false;
  for (std::int64_t n = 0; !done; ++n) {
    SCOPED_TRACE("allocation " + std::to_string(n));
    Index index(params, one_thread());
    index.add(data.slice(0, 100));
    done = ends_before(n, [&] { index.add(data.slice(100, 400)); });
    if (index.size() < data.rows) index.add(data.slice(index.size(), data.rows - index.size()));
    ASSERT_EQ(index.digest(), all.digest());
  }
}

// Vectors of so many dimensions have codes, where the processor has instructions for them.
TEST(AllocationFailure, OfCodesChangesNoIndex) {
  constexpr std::size_t kHalf = 120;
  const Matrix data = make_data(Shape::random, 2 * kHalf, 130);
  const IndexParams params = make_params(130, 3, 12, 32, Metric::l2sq);
  Index all(params, one_thread());
  all.add(data.view());
  bool done = false;
  for (std::int64_t n = 0; !done; ++n) {
    Index index(params, one_thread());
    index.add(data.slice(0, kHalf));
    done = ends_before(n, [&] { index.add(data.slice(kHalf, kHalf)); });
    if (index.size() < data.rows) index.add(data.slice(index.size(), data.rows - index.size()));
    ASSERT_EQ(index.digest(), all.digest()) << "allocation " << n;
  }
}

// In the upper layers of the last epoch, every node links to the one before the one before: at the
// seal one child of the layer's first node is too many, and from there on each moves on to the end.
class ZipProposer final : public RelayingProposer {
 public:
  ZipProposer(core::RepairingProposer& below, const core::Graph& graph, core::NodeId last_epoch)
      : RelayingProposer(below), graph_(graph), last_epoch_(last_epoch) {}

  void start(const core::Epoch&, core::NodeId begin, core::NodeId end,
             const core::StopRequest&) override {
    batch_.reset(begin, end, graph_);
    std::fill(batch_.ids.begin(), batch_.ids.end(), core::kNoNode);
    for (core::NodeId node = begin; node < end; ++node) {
      for (std::uint32_t layer = 0; layer <= graph_.level(node); ++layer) {
        std::vector<core::NodeId>& earlier = layers_[layer];
        if (!earlier.empty()) *batch_.list(node, layer) = target(earlier, node, layer);
        earlier.push_back(node);
      }
    }
  }
  const core::ProposalBatch* finish(const core::StopRequest&) override { return &batch_; }

 private:
  core::NodeId target(const std::vector<core::NodeId>& earlier, core::NodeId node,
                      std::uint32_t layer) const {
    if (layer == 0 || node < last_epoch_) return earlier.back();
    const std::size_t n = earlier.size();
    return n < 2 || earlier[n - 2] < last_epoch_ ? earlier.front() : earlier[n - 2];
  }

  const core::Graph& graph_;
  core::NodeId last_epoch_;
  core::ProposalBatch batch_;
  std::vector<core::NodeId> layers_[core::kMaxLevel + 1];
};

// Links change only once all memory is there: searches beside a seal, and its repetition, rely on
// it.
// Shards may then be ahead of others, and the same vectors come again.
TEST(AllocationFailure, AtEveryAllocationOfAShardedAddition) {
  const Matrix data = mixed_data();
  const ShardParams shards{.shards = 2, .block = 8};
  for (const unsigned threads : {1u, 3u}) {
    RuntimeOptions options = one_thread();
    options.threads = threads;
    ShardedIndex undisturbed(params_of(Metric::l2sq), shards, {one_thread(), {}});
    undisturbed.add(data.view());
    std::int64_t n = 0;
    for (bool done = false; !done; n += threads) {
      SCOPED_TRACE("allocation " + std::to_string(n) + ", threads " + std::to_string(threads));
      ShardedIndex index(params_of(Metric::l2sq), shards, {options, {}});
      index.add(data.slice(0, kBefore));
      done = ends_before(n, [&] { index.add(data.slice(kBefore, kAfter - kBefore)); });
      ASSERT_GE(index.resume_at(), kBefore);
      ASSERT_LE(index.resume_at(), index.size());
      expect_sound(index.audit());
      const std::size_t from = index.resume_at();
      ASSERT_EQ(index.add(data.slice(from, kAfter - from)), kAfter - from);
      ASSERT_EQ(index.digest(), undisturbed.digest());
    }
    EXPECT_GT(n, 50);
  }
}

TEST(AllocationFailure, AtEveryAllocationOfASealInWhichChildrenMoveOn) {
  constexpr std::uint32_t kEpochLimit = 4096;
  const core::NodeId size = core::Epoch::of(400, kEpochLimit).end;
  const Matrix data = make_data(Shape::random, size, 2);
  Links expected;
  std::int64_t n = -1;  // none fails
  for (bool done = false; !done; ++n) {
    SCOPED_TRACE("allocation " + std::to_string(n));
    GraphBuilder built(make_params(2, 2, 10, kEpochLimit), data);
    ZipProposer proposer(built.proposer, built.graph, core::Epoch::of(400, kEpochLimit).begin);
    while (built.graph.size() < size) {
      if (built.committer.seal_is_due()) built.committer.seal(proposer);
      const core::NodeId node = built.graph.size();
      proposer.start(built.graph.epoch(), node, node + 1, {});
      built.committer.commit(*proposer.finish({}));
    }
    const Links before = all_links(built.graph);
    done = n >= 0 && ends_before(n, [&] { built.committer.seal(proposer); });
    if (built.committer.seal_is_due()) {
      ASSERT_EQ(built.graph.epoch().begin, core::Epoch::of(400, kEpochLimit).begin);
      ASSERT_EQ(built.graph.seals() % 2, 0u);
      ASSERT_EQ(all_links(built.graph), before);
      built.committer.seal(proposer);
    }
    expect_sound(built.audit());
    if (n < 0) expected = all_links(built.graph);
    ASSERT_EQ(all_links(built.graph), expected);
    EXPECT_GT(built.stats.reanchored, 50u);
  }
  EXPECT_GT(n, 3);
}

TEST(AllocationFailure, AtEveryAllocationOfASearch) {
  const Matrix data = mixed_data();
  Index index(params_of(Metric::cosine));
  index.add(data.view());
  const std::string digest = index.digest();
  const SearchResult expected = index.search(data.slice(0, 20), {.k = 4, .ef = 30});
  std::int64_t n = 0;
  for (bool done = false; !done; ++n) {
    SearchResult result;
    SearchResult exact;
    done = ends_before(n, [&] {
      result = index.search(data.slice(0, 20), {.k = 4, .ef = 30});
      exact = index.exact_search(data.slice(0, 20), 4);
    });
    if (done) {
      EXPECT_EQ(result.labels, expected.labels);
    }
    ASSERT_EQ(index.digest(), digest);
    const SearchResult again = index.search(data.slice(0, 20), {.k = 4, .ef = 30});
    ASSERT_EQ(again.labels, expected.labels);
  }
  EXPECT_GT(n, 3);
}

TEST(AllocationFailure, AtEveryAllocationOfALifeInFiles) {
  const Matrix data = mixed_data();
  const TempPath file;
  std::string digest;
  {
    Index index(params_of(Metric::inner_product));
    add(index, data, 0, kAfter, true);
    digest = index.digest();
    index.save(file);
    const std::vector<char> bytes = read_file(file);
    std::int64_t n = 0;
    for (bool done = false; !done; ++n) {
      done = ends_before(n, [&] { index.save(file); });
      ASSERT_EQ(read_file(file), bytes);  // whole, whether old or new
    }
    EXPECT_GT(n, 3);
  }
  std::int64_t loads = 0;
  for (bool done = false; !done; ++loads) {
    done = ends_before(loads, [&] {
      const Index loaded = Index::load(file);
      const Index mapped = Index::map(file);
      EXPECT_EQ(mapped.digest().size(), 32u);
    });
  }
  EXPECT_GT(loads, 10);
  EXPECT_EQ(Index::load(file).digest(), digest);
}

// Whatever fails, on either thread: a prefix in memory, nothing acknowledged lost, and it goes on,
// at the latest after compact().
TEST(AllocationFailure, AtEveryAllocationOfADurableAddition) {
  const Matrix data = mixed_data();
  const std::vector<std::string> digests = digests_of(data, Metric::l2sq, true);
  std::int64_t n = 0;
  for (bool done = false; !done; ++n) {
    SCOPED_TRACE("allocation " + std::to_string(n));
    const TempPath path;
    {
      Index index = open_durable(path);
      add(index, data, 0, kBefore, true);
      done = ends_before(n, [&] { add(index, data, kBefore, kAfter, true); });
      ASSERT_GE(index.size(), kBefore);
      expect_sound(index.audit());
      if (index.size() < kAfter) {
        try {
          add(index, data, index.size(), kAfter, true);
        } catch (const Error& error) {
          ASSERT_EQ(error.code(), ErrorCode::io) << error.what();
          index.compact();
          add(index, data, index.size(), kAfter, true);
        }
      }
      ASSERT_EQ(index.digest(), digests[kAfter]);
    }
    ASSERT_EQ(open_durable(path).digest(), digests[kAfter]);
  }
  EXPECT_GT(n, 10);
}

/// What is left of three calls: a removal, an upsert of old and new labels, and a flush.
void change(Index& index, const Matrix& data) {
  std::vector<std::uint64_t> doomed;
  for (const std::uint64_t label : labels_of(0, 10)) {
    if (index.contains(label)) doomed.push_back(label);
  }
  if (index.stats().insertions == kBefore) index.remove(doomed);
  const std::size_t done = index.stats().insertions - kBefore;
  index.upsert(data.slice(kBefore + done, 12 - done), labels_of(kBefore - 6 + done, kBefore + 6));
  index.flush();
}

// Whatever fails: a sound graph in memory, a prefix in the files, and it goes on, at the latest
// after compact().
TEST(AllocationFailure, AtEveryAllocationOfDurableRemovals) {
  const Matrix data = mixed_data();
  Index expected(params_of(Metric::l2sq), one_thread());
  add(expected, data, 0, kBefore, true);
  change(expected, data);
  std::int64_t n = 0;
  for (bool done = false; !done; ++n) {
    SCOPED_TRACE("allocation " + std::to_string(n));
    const TempPath path;
    {
      Index index = open_durable(path);
      add(index, data, 0, kBefore, true);
      done = ends_before(n, [&] { change(index, data); });
      expect_sound(index.audit());
      try {
        change(index, data);
      } catch (const Error& error) {
        ASSERT_EQ(error.code(), ErrorCode::io) << error.what();
        index.compact();
        change(index, data);
      }
      ASSERT_EQ(index.digest(), expected.digest());
    }
    ASSERT_EQ(open_durable(path).digest(), expected.digest());
  }
  EXPECT_GT(n, 10);
}

// A slide that lacks the memory to begin leaves all as it is; the next one goes on.
TEST(AllocationFailure, AtEveryAllocationOfASlide) {
  const Matrix data = mixed_data();
  for (const bool has_numbers : {false, true}) {
    GraphBuilder built(params_of(Metric::l2sq), data);
    core::Contents& contents = built.contents;
    contents.labels.append(labels_of(0, kAfter), kAfter, 0);
    while (built.graph.size() < kAfter) built.step();
    const auto remove_some = [&](core::NodeId first) {
      built.graph.reserve_deaths(kAfter);
      for (core::NodeId node = first; node < built.graph.size(); node += 3) {
        built.graph.remove(node);
      }
      built.committer.seal(built.proposer);
    };
    remove_some(1);
    if (has_numbers) {
      core::slide(contents);
      remove_some(2);
    }
    const std::uint64_t slides = built.graph.slides();
    const core::NodeId size = built.graph.size();
    const core::Digest digest = core::Digester(contents).finish();
    std::int64_t n = 0;
    for (; !ends_before(n, [&] { core::slide(contents); }); ++n) {
      ASSERT_EQ(built.graph.slides(), slides);
      ASSERT_EQ(built.graph.size(), size);
      ASSERT_FALSE(built.graph.is_sliding());
      ASSERT_EQ(core::Digester(contents).finish(), digest);
    }
    EXPECT_GE(n, 2);
    EXPECT_EQ(built.graph.unlinked(), 0u);
    EXPECT_EQ(core::Digester(contents).finish(), digest);
    expect_sound(built.audit());
  }
}

// A seal that failed leaves rows above max_degree at an epoch's end. What is folded into the file
// then can be opened, mapped and searched, and goes on as the index in memory does.
TEST(AllocationFailure, ASealThatFailedIsDueInTheFile) {
  const Matrix data = mixed_data();
  const std::vector<std::string> digests = digests_of(data, Metric::l2sq, false);
  unsigned due = 0;
  std::int64_t n = 0;
  for (bool done = false; !done; ++n) {
    SCOPED_TRACE("allocation " + std::to_string(n));
    const TempPath path;
    std::string digest;
    {
      Index index = open_durable(path);
      add(index, data, 0, kBefore, false);
      done = ends_before(n, [&] { add(index, data, kBefore, kAfter, false); });
      index.compact();
      digest = index.digest();
    }
    const Index mapped = Index::map(path, MapCheck::on_open, one_thread());
    const std::size_t size = mapped.size();
    ASSERT_EQ(mapped.digest(), digest);
    expect_sound(mapped.audit());
    ASSERT_EQ(mapped.search(data.slice(0, 1), {.k = kAfter, .ef = kAfter}).counts[0], size);
    const auto is_due =
        read_at<std::uint32_t>(read_file(path), offsetof(core::file::Header, seal_is_due));
    EXPECT_TRUE(is_due == 1 || digest == digests[size]);
    due += is_due;
    {
      Index index = open_durable(path);
      ASSERT_EQ(index.digest(), digest);
      if (size < kAfter) add(index, data, size, kAfter, false);
      ASSERT_EQ(index.digest(), digests[kAfter]);
    }
    ASSERT_EQ(open_durable(path).digest(), digests[kAfter])
        << "replayed on a file whose seal was due";
  }
  EXPECT_GT(due, 2u) << "no seal failed";
}

// What was opened, replayed, compacted or not: the same vectors are there when it is opened again.
TEST(AllocationFailure, AtEveryAllocationOfOpeningAndCompacting) {
  const Matrix data = mixed_data();
  const TempPath path;
  const std::filesystem::path journal = path.path().string() + ".journal";
  std::string digest;
  {
    Index index = open_durable(path);
    add(index, data, 0, kBefore, true);
    index.compact();
    add(index, data, kBefore, kAfter, true);
    digest = index.digest();
  }
  const std::vector<char> bytes = read_file(path);
  const std::vector<char> journal_bytes = read_file(journal);
  std::int64_t n = 0;
  for (bool done = false; !done; ++n) {
    SCOPED_TRACE("allocation " + std::to_string(n));
    write_file(path, bytes);
    write_file(journal, journal_bytes);
    done = ends_before(n, [&] { open_durable(path).compact(); });
    ASSERT_EQ(open_durable(path).digest(), digest);
  }
  EXPECT_GT(n, 20);
}

// A thread that there is no memory for is done without.
TEST(AllocationFailure, AtEveryAllocationOfAPoolOfThreads) {
  RuntimeOptions options;
  options.threads = 4;
  options.device = "cpu";
  const Matrix data = mixed_data();
  std::int64_t n = 0;
  for (bool done = false; !done; ++n) {
    Index index(params_of(Metric::l2sq));
    done = ends_before(n, [&] {
      const Index made(params_of(Metric::l2sq), options);
      index.set_runtime(options);
    });
    add(index, data, 0, kBefore, false);
    ASSERT_EQ(index.size(), kBefore);
  }
  EXPECT_GT(n, 8);
}

TEST(AllocationFailure, AtEveryAllocationOfInspection) {
  const Matrix data = mixed_data();
  Index index(params_of(Metric::l2sq));
  add(index, data, 0, kAfter, true);
  const std::string digest = index.digest();
  std::int64_t n = 0;
  for (bool done = false; !done; ++n) {
    done = ends_before(n, [&] {
      (void)index.audit();
      (void)index.stats();
      (void)index.labels();
      (void)index.vector(1);
      (void)index.digest();
      Index moved(std::move(index));
      index = std::move(moved);
    });
    ASSERT_EQ(index.digest(), digest);
  }
  EXPECT_GT(n, 3);
}

}  // namespace
}  // namespace concord::test
