// What a ShardedIndex must hold and find, kept naively: the living vectors with their positions,
// and for each shard the Index that its operations alone give, done one at a time.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "tests/shards/sharded_world.hpp"

namespace concord::test {

class ShardedModel {
 public:
  struct Found {
    float distance;
    std::uint64_t position;
    std::uint64_t label;
    auto operator<=>(const Found&) const = default;
  };
  using Row = std::vector<float>;

  ShardedModel(const IndexParams& params, const ShardParams& shards)
      : shards_(shards), inserted_(shards.shards), living_(shards.shards) {
    for (std::uint32_t s = 0; s < shards.shards; ++s) twins_.emplace_back(params, on_cpu());
  }

  /// A new vector goes where the next position comes first, by living vectors.
  std::uint64_t add(const Row& row, std::optional<std::uint64_t> label = {}) {
    std::size_t to = 0;
    for (std::size_t s = 1; s < living_.size(); ++s) {
      if (position(s, living_[s]) < position(to, living_[to])) to = s;
    }
    ++living_[to];
    const std::uint64_t given = label ? *label : position(to, inserted_[to]);
    twins_[to].add(view(row), {&given, 1});
    put(to, row, given);
    return given;
  }
  void remove(std::uint64_t label) {
    const std::size_t s = shard_of(label);
    twins_[s].remove({&label, 1});
    --living_[s];
    vectors_.erase(label);
  }
  void update(const Row& row, std::uint64_t label) {
    const std::size_t s = shard_of(label);
    twins_[s].update(view(row), {&label, 1});
    put(s, row, label);
  }
  void upsert(const Row& row, std::uint64_t label) {
    has(label) ? update(row, label) : static_cast<void>(add(row, label));
  }
  void flush() {
    for (Index& twin : twins_) twin.flush();
  }

  [[nodiscard]] bool has(std::uint64_t label) const { return vectors_.contains(label); }
  [[nodiscard]] std::size_t size() const { return vectors_.size(); }
  [[nodiscard]] std::size_t shard_of(std::uint64_t label) const {
    return vectors_.at(label).position / shards_.block % shards_.shards;
  }
  /// Of what a shard must be.
  [[nodiscard]] std::string digest(std::uint32_t s) const { return twins_[s].digest(); }
  /// By position.
  [[nodiscard]] std::vector<std::uint64_t> labels() const {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> order;
    for (const auto& [label, vector] : vectors_) order.emplace_back(vector.position, label);
    std::sort(order.begin(), order.end());
    std::vector<std::uint64_t> labels;
    for (const auto& [position, label] : order) labels.push_back(label);
    return labels;
  }
  /// All that match, by (distance, position). Exact for whole numbers of a few bits.
  template <class IsMatch>
  [[nodiscard]] std::vector<Found> nearest(const float* query, const IsMatch& is_match) const {
    std::vector<Found> found;
    for (const auto& [label, vector] : vectors_) {
      if (!is_match(label)) continue;
      float distance = 0;
      for (std::size_t i = 0; i < vector.row.size(); ++i) {
        distance += (vector.row[i] - query[i]) * (vector.row[i] - query[i]);
      }
      found.push_back({distance, vector.position, label});
    }
    std::sort(found.begin(), found.end());
    return found;
  }
  [[nodiscard]] std::vector<Found> nearest(const float* query) const {
    return nearest(query, [](std::uint64_t) { return true; });
  }
  void expect_equal(const ShardedIndex& index) const {
    ASSERT_EQ(index.size(), size());
    ASSERT_EQ(index.labels(), labels());
    for (std::uint32_t s = 0; s < index.shards(); ++s) {
      ASSERT_EQ(index.shard(s).digest(), twins_[s].digest()) << "shard " << s;
    }
    for (const auto& [label, vector] : vectors_) {
      ASSERT_TRUE(index.contains(label));
      ASSERT_EQ(index.vector(label), vector.row);
    }
  }

 private:
  struct Vector {
    Row row;
    std::uint64_t position;
  };
  static MatrixView<const float> view(const Row& row) { return {row.data(), 1, row.size()}; }
  [[nodiscard]] std::uint64_t position(std::size_t s, std::uint64_t n) const {
    return (n / shards_.block * shards_.shards + s) * shards_.block + n % shards_.block;
  }
  void put(std::size_t s, const Row& row, std::uint64_t label) {
    vectors_[label] = {row, position(s, inserted_[s]++)};
  }

  ShardParams shards_;
  std::vector<std::uint64_t> inserted_;
  std::vector<std::uint64_t> living_;
  std::vector<Index> twins_;
  std::map<std::uint64_t, Vector> vectors_;
};

/// Whole numbers, so that distances are exact and many are equal.
inline ShardedModel::Row whole_row(std::uint32_t dimension, std::uint64_t seed, std::uint64_t i) {
  ShardedModel::Row row;
  for (std::uint32_t j = 0; j < dimension; ++j) {
    row.push_back(static_cast<float>(hash(seed, i, j) % 5));
  }
  return row;
}

/// One operation of a random history, on both.
class RandomChange {
 public:
  RandomChange(std::uint64_t seed, std::uint64_t step, std::uint32_t dimension)
      : seed_(hash(seed, step)), dimension_(dimension) {}

  void apply(ShardedIndex& index, ShardedModel& model, std::uint64_t& next_label) {
    const std::uint64_t kind = draw(10);
    if (kind < 3 || model.size() < 4) return add(index, model, next_label);
    if (kind < 5) return remove(index, model);
    if (kind < 7) return update(index, model);
    if (kind < 9) return upsert(index, model, next_label);
    index.flush();
    model.flush();
  }

 private:
  std::uint64_t draw(std::uint64_t below) { return hash(seed_, ++drawn_, 7) % below; }
  ShardedModel::Row row() { return whole_row(dimension_, seed_, ++drawn_); }
  /// Labels that are there, each once, in no order.
  std::vector<std::uint64_t> some(const ShardedModel& model, std::uint64_t most) {
    std::vector<std::uint64_t> labels = model.labels();
    std::sort(labels.begin(), labels.end(),
              [&](std::uint64_t a, std::uint64_t b) { return hash(seed_, a) < hash(seed_, b); });
    labels.resize(std::min<std::size_t>(labels.size(), 1 + draw(most)));
    return labels;
  }
  Matrix rows_for(std::size_t n) {
    Matrix rows(n, dimension_);
    for (std::size_t i = 0; i < n; ++i) {
      const auto one = row();
      std::copy(one.begin(), one.end(), rows.row(i));
    }
    return rows;
  }
  static ShardedModel::Row row_of(const Matrix& rows, std::size_t i) {
    return {rows.row(i), rows.row(i) + rows.cols};
  }

  void add(ShardedIndex& index, ShardedModel& model, std::uint64_t& next_label) {
    const Matrix rows = rows_for(1 + draw(draw(4) == 0 ? 60 : 9));
    std::vector<std::uint64_t> labels;
    for (std::size_t i = 0; i < rows.rows; ++i) labels.push_back(next_label++);
    EXPECT_EQ(index.add(rows.view(), labels), rows.rows);
    for (std::size_t i = 0; i < rows.rows; ++i) model.add(row_of(rows, i), labels[i]);
  }
  void remove(ShardedIndex& index, ShardedModel& model) {
    const auto labels = some(model, draw(4) == 0 ? 40 : 6);
    EXPECT_EQ(index.remove(labels), labels.size());
    for (const std::uint64_t label : labels) model.remove(label);
  }
  void update(ShardedIndex& index, ShardedModel& model) {
    const auto labels = some(model, 12);
    const Matrix rows = rows_for(labels.size());
    EXPECT_EQ(index.update(rows.view(), labels), labels.size());
    for (std::size_t i = 0; i < labels.size(); ++i) model.update(row_of(rows, i), labels[i]);
  }
  // Known labels, new ones and those that were removed before.
  void upsert(ShardedIndex& index, ShardedModel& model, std::uint64_t& next_label) {
    std::vector<std::uint64_t> labels = some(model, 6);
    for (std::uint64_t i = draw(5); i > 0; --i) labels.push_back(next_label++);
    for (std::uint64_t i = 0; i < 3; ++i) {
      const std::uint64_t old = draw(next_label);
      const bool is_free = !model.has(old) && std::ranges::count(labels, old) == 0;
      if (is_free) labels.insert(labels.begin(), old);
    }
    const Matrix rows = rows_for(labels.size());
    EXPECT_EQ(index.upsert(rows.view(), labels), labels.size());
    for (std::size_t i = 0; i < labels.size(); ++i) model.upsert(row_of(rows, i), labels[i]);
  }

  std::uint64_t seed_;
  std::uint32_t dimension_;
  std::uint64_t drawn_ = 0;
};

}  // namespace concord::test
