// One writer, readers beside it: every answer is one that some prefix of the insertions explains.
//
// CONCORD_TEST_SCALE=N runs the stress N/100 times as long (minutes: 5000; TSan: tests/stress.sh).

#include <algorithm>
#include <atomic>
#include <cmath>
#include <concord/interchange.hpp>
#include <iostream>
#include <map>
#include <mutex>
#include <thread>

#include "common/index/index_access.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

constexpr std::size_t kDimension = 9;
constexpr std::size_t kQueries = 12;
constexpr std::uint32_t kK = 7;

std::uint64_t label_of(std::size_t id) { return id * 3 + 11; }
std::size_t id_of(std::uint64_t label) { return static_cast<std::size_t>(label - 11) / 3; }

/// The vectors in the order of their insertion, and what is true of them: distances to the queries
/// as the library computes them, exactly.
class Truth {
 public:
  /// The first half are small whole numbers, which are kept as bytes; then floats come.
  explicit Truth(std::size_t n) : data(make_data(Shape::clustered, n, kDimension)) {
    for (std::size_t i = 0; i < n / 2; ++i) {
      for (std::size_t e = 0; e < kDimension; ++e) {
        data.row(i)[e] = std::floor(std::fabs(data.row(i)[e]) * 8);
      }
    }
    Index all(params());
    all.add(data.view());
    const SearchResult result = all.exact_search(queries(), static_cast<std::uint32_t>(n));
    distances_.assign(kQueries, std::vector<float>(n));
    for (std::size_t q = 0; q < kQueries; ++q) {
      for (std::size_t j = 0; j < n; ++j) {
        distances_[q][result.labels[q * n + j]] = result.distances[q * n + j];
      }
    }
  }

  static IndexParams params() { return make_params(kDimension, 5, 40, 128); }
  [[nodiscard]] MatrixView<const float> queries() const {
    return data.slice(data.rows / 2 - kQueries / 2, kQueries);  // of both kinds
  }
  [[nodiscard]] float distance(std::size_t q, std::size_t id) const { return distances_[q][id]; }
  [[nodiscard]] std::vector<std::size_t> nearest(std::size_t q, std::size_t prefix) const {
    std::vector<std::size_t> ids(prefix);
    for (std::size_t i = 0; i < prefix; ++i) ids[i] = i;
    const std::size_t k = std::min<std::size_t>(kK, prefix);
    std::partial_sort(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(k), ids.end(),
                      [&](std::size_t a, std::size_t b) {
                        return std::pair(distance(q, a), a) < std::pair(distance(q, b), b);
                      });
    ids.resize(k);
    return ids;
  }

  Matrix data;

 private:
  std::vector<std::vector<float>> distances_;
};

/// What readers found; a line for each kind of wrong answer.
class Findings {
 public:
  void expect(bool holds, const char* what) {
    if (holds) return;
    const std::lock_guard lock(mutex_);
    ++wrong_[what];
  }
  void count(std::size_t found, std::size_t of) {
    found_ += found;
    wanted_ += of;
  }
  [[nodiscard]] std::uint64_t counted() const { return wanted_; }
  void report() const {
    for (const auto& [what, times] : wrong_) ADD_FAILURE() << what << ": " << times << " times";
    EXPECT_GT(wanted_, 0u);
    EXPECT_GE(static_cast<double>(found_), 0.97 * static_cast<double>(wanted_)) << wanted_;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, int> wrong_;
  std::atomic<std::uint64_t> found_{0}, wanted_{0};
};

/// Checks one row of an answer that was given while the index held `before` to `after` vectors.
void check_row(const Truth& truth, std::size_t q, const SearchResult& result, std::size_t row,
               std::size_t before, std::size_t after, Findings& findings) {
  const std::size_t count = result.counts[row];
  findings.expect(count <= after && count >= std::min<std::size_t>(kK, before), "count");
  std::pair<float, std::size_t> last{-1, 0};
  for (std::size_t j = 0; j < count; ++j) {
    const std::size_t id = id_of(result.labels[row * kK + j]);
    const float distance = result.distances[row * kK + j];
    findings.expect(label_of(id) == result.labels[row * kK + j] && id < after, "label");
    if (id >= after) return;
    findings.expect(distance == truth.distance(q, id), "distance");
    findings.expect(j == 0 || last < std::pair(distance, id), "order");
    last = {distance, id};
  }
}

void search_once(const Index& index, const Truth& truth, std::size_t draw, Findings& findings) {
  const std::size_t q = draw % kQueries;
  const std::size_t before = index.size();
  const SearchResult result = index.search(truth.queries().rows_from(q, 1), {.k = kK, .ef = 60});
  const std::size_t after = index.size();
  check_row(truth, q, result, 0, before, after, findings);
  const std::vector<std::size_t> nearest = truth.nearest(q, before);
  if (nearest.empty()) return;
  const float worst = truth.distance(q, nearest.back());
  std::size_t found = 0;
  for (std::size_t j = 0; j < result.counts[0]; ++j) found += result.distances[j] <= worst;
  findings.count(std::min(found, nearest.size()), nearest.size());
}

// Exact search is of one prefix, to the byte.
void scan_once(const Index& index, const Truth& truth, std::size_t draw, Findings& findings) {
  const std::size_t q = draw % kQueries;
  const std::size_t before = index.size();
  const SearchResult result = index.exact_search(truth.queries().rows_from(q, 1), kK);
  const std::size_t after = index.size();
  check_row(truth, q, result, 0, before, after, findings);
  bool explained = false;
  for (std::size_t prefix = before; prefix <= after && !explained; ++prefix) {
    const std::vector<std::size_t> nearest = truth.nearest(q, prefix);
    explained = nearest.size() == result.counts[0];
    for (std::size_t j = 0; explained && j < nearest.size(); ++j) {
      explained = id_of(result.labels[j]) == nearest[j];
    }
  }
  findings.expect(explained, "exact search of no prefix");
}

void look_up_once(const Index& index, const Truth& truth, std::size_t draw, Findings& findings) {
  const std::size_t id = draw % truth.data.rows;
  const std::size_t before = index.size();
  const bool is_there = index.contains(label_of(id));
  const std::size_t after = index.size();
  findings.expect(is_there ? id < after : id >= before, "contains");
  findings.expect(!index.contains(label_of(id) + 1), "contains what never was");
  const std::vector<std::uint64_t> labels = index.labels();
  findings.expect(labels.size() >= after, "labels");
  if (!labels.empty()) findings.expect(labels.back() == label_of(labels.size() - 1), "last label");
  if (!is_there) return;
  const std::vector<float> vector = index.vector(label_of(id));
  findings.expect(std::equal(vector.begin(), vector.end(), truth.data.row(id)), "vector");
}

void add_until(Index& index, const Truth& truth, std::size_t n) {
  for (std::size_t done = index.size(), step = 0; done < n; ++step) {
    const std::size_t count = std::min(n - done, 1 + hash(7, step) % (step % 3 == 0 ? 700 : 40));
    std::vector<std::uint64_t> labels(count);
    for (std::size_t i = 0; i < count; ++i) labels[i] = label_of(done + i);
    index.add(truth.data.slice(done, count), labels);
    // A refused addition must not show.
    labels[count - 1] = label_of(0);
    if (step % 5 == 0) {
      (void)error_of([&] { index.add(truth.data.slice(done, count), labels); });
    }
    done += count;
  }
}

std::string digest_of_prefix(const Truth& truth, std::size_t n) {
  Index index(Truth::params());
  std::vector<std::uint64_t> labels(n);
  for (std::size_t i = 0; i < n; ++i) labels[i] = label_of(i);
  index.add(truth.data.slice(0, n), labels);
  return index.digest();
}

TEST(BesideTheWriter, EveryAnswerIsOfSomePrefix) {
  const std::size_t n = 2500;
  const Truth truth(n);
  RuntimeOptions options;
  options.threads = 2;
  const std::size_t rounds = scaled(2, 1);
  std::atomic<std::uint64_t> answers{0};
  for (std::size_t round = 0; round < rounds; ++round) {
    Index index(Truth::params(), options);
    Findings findings;
    std::atomic<bool> done{false};
    std::vector<std::thread> readers;
    for (std::size_t t = 0; t < 8; ++t) {
      readers.emplace_back([&, t] {
        for (std::size_t i = 0; !done; ++i, ++answers) {
          const std::size_t draw = hash(round, t, i);
          switch (draw % 8) {
            case 0:
              scan_once(index, truth, draw / 8, findings);
              break;
            case 1:
              look_up_once(index, truth, draw / 8, findings);
              break;
            default:
              search_once(index, truth, draw / 8, findings);
          }
        }
      });
    }
    add_until(index, truth, n);
    while (findings.counted() < 2000) std::this_thread::yield();
    done = true;
    for (std::thread& reader : readers) reader.join();
    findings.report();
    EXPECT_EQ(index.digest(), digest_of_prefix(truth, n)) << "readers changed the graph";
    expect_sound(index.audit());
  }
  std::cout << "rounds: " << rounds << ", vectors inserted: " << rounds * n
            << ", answers checked: " << answers << "\n";
}

// Saves, digests, audits and figures while additions go on are of one moment between two commits.
TEST(BesideTheWriter, SavesAndAuditsSeeOneMoment) {
  const std::size_t n = 2500;
  const Truth truth(n);
  Index index(Truth::params());
  Findings findings;
  std::map<std::size_t, std::string> digests;
  std::atomic<bool> done{false};
  std::atomic<int> visits{0};
  std::thread visitor([&] {
    for (; !done; ++visits) {
      const TempPath file;
      const std::size_t before = index.size();
      index.save(file);
      const std::size_t after = index.size();
      const Index loaded = Index::load(file);  // which audits and compares the digest
      findings.expect(loaded.size() >= before && loaded.size() <= after, "size of a save");
      digests[loaded.size()] = loaded.digest();
      std::vector<std::byte> bytes;
      index.write([&](std::span<const std::byte> piece, std::uint64_t) {
        bytes.insert(bytes.end(), piece.begin(), piece.end());
      });
      const Index copy = Index::from_bytes(bytes);
      findings.expect(copy.size() >= after && copy.size() <= index.size(), "size of a copy");
      findings.expect(index.audit().ok, "audit");
      findings.expect(index.stats().size >= after, "stats");
      findings.expect(index.memory().total() > 0, "memory");
      findings.expect(index.digest().size() == 32, "digest");
      interchange::save_hnswlib(index, file);
      findings.expect(interchange::load_hnswlib(file, {kDimension, Metric::l2sq}).size() >= after,
                      "size of an hnswlib file");
      interchange::save_faiss(index, file);
      findings.expect(interchange::load_faiss(file).size() >= after, "size of a FAISS file");
    }
  });
  for (const std::size_t size : {n / 2, n}) {
    add_until(index, truth, size);
    const int before = visits;
    while (visits < before + 2) std::this_thread::yield();  // one of them at this size
  }
  done = true;
  visitor.join();
  findings.count(1, 1);
  findings.report();
  EXPECT_GT(digests.size(), 1u);
  std::size_t checked = 0;
  for (const auto& [size, digest] : digests) {
    if (checked++ % 4 != 0) continue;
    EXPECT_EQ(digest, digest_of_prefix(truth, size)) << size;
  }
}

TEST(BesideTheWriter, WhatASearchSawIsSeenByTheNext) {
  const Truth truth(600);
  Index index(Truth::params());
  std::atomic<bool> done{false};
  std::atomic<int> lost{0};
  std::thread reader([&] {
    while (!done) {
      const std::size_t size = index.size();
      if (size == 0) continue;
      // ef beyond the size: the search goes everywhere.
      const SearchResult result = index.search(truth.data.slice(size - 1, 1), {.k = 1, .ef = 700});
      lost += result.counts[0] != 1 || result.distances[0] != 0;
    }
  });
  for (std::size_t i = 0; i < truth.data.rows; ++i) index.add(truth.data.slice(i, 1));
  done = true;
  reader.join();
  EXPECT_EQ(lost, 0);
}

TEST(BesideTheWriter, TwoWritersTakeTurns) {
  const Truth truth(1200);
  Index index(Truth::params());
  std::thread other([&] {
    for (std::size_t i = 0; i < 600; i += 20) {
      std::vector<std::uint64_t> labels(20);
      for (std::size_t j = 0; j < 20; ++j) labels[j] = 1'000'000 + i + j;
      index.add(truth.data.slice(i, 20), labels);
    }
  });
  for (std::size_t i = 600; i < 1200; i += 30) {
    EXPECT_TRUE(index.audit().ok);
    std::vector<std::uint64_t> labels(30);
    for (std::size_t j = 0; j < 30; ++j) labels[j] = 2'000'000 + i + j;
    index.add(truth.data.slice(i, 30), labels);
  }
  other.join();
  EXPECT_EQ(index.size(), 1200u);
  expect_sound(index.audit());
}

TEST(BesideTheWriter, AnAdditionsCallbackMayLookButNotAdd) {
  const Truth truth(1500);
  Index index(Truth::params());
  bool looked = false;
  index.add(truth.data.view(), [&](std::size_t, std::size_t) {
    looked = true;
    expect_sound(index.audit());
    EXPECT_EQ(index.stats().size, index.size());
    EXPECT_EQ(index.digest().size(), 32u);
    (void)index.search(truth.queries());
    expect_error(ErrorCode::invalid_parameter, {"callback"},
                 [&] { index.add(truth.data.slice(0, 1)); });
    return true;
  });
  EXPECT_TRUE(looked);
  EXPECT_EQ(index.size(), 1500u);
}

TEST(BesideTheWriter, TheDestructorWaitsForAnAdditionUnderWay) {
  const Truth truth(1500);
  auto index = std::make_unique<Index>(Truth::params());
  std::atomic<bool> entered{false};
  std::size_t added = 0;
  std::thread writer([&, &live = *index] {
    added = live.add_from(
        [&](std::size_t) {
          entered = true;
          std::this_thread::sleep_for(std::chrono::milliseconds(20));
          return truth.data.view();
        },
        truth.data.rows);
  });
  while (!entered) std::this_thread::yield();
  index.reset();
  writer.join();
  EXPECT_EQ(added, truth.data.rows);
}

TEST(BesideTheWriter, TheDestructorWaitsForASearchUnderWay) {
  const Truth truth(1500);
  auto index = std::make_unique<Index>(Truth::params());
  index->add(truth.data.view());
  const SearchParams how{.k = kK, .ef = 60};
  const SearchResult expected = index->search(truth.queries(), how);
  std::atomic<bool> entered{false};
  SearchResult found;
  std::thread reader([&, &live = *index] {
    // Queries in device memory are brought to the host in the middle of a search.
    found = IndexAccess::search(live, {nullptr, kQueries, kDimension}, how, {}, [&] {
      entered = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      return truth.queries();
    });
  });
  while (!entered) std::this_thread::yield();
  index.reset();
  reader.join();
  EXPECT_EQ(found.labels, expected.labels);
  EXPECT_EQ(found.distances, expected.distances);
}

}  // namespace
}  // namespace concord::test
