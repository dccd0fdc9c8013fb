// The naive oracle of a life: which vectors live, in the order of their insertion, and by which
// operations they came to. Every distance is computed anew. Vectors are small whole or half
// numbers, so that sums are exact and answers must be equal, not alike.
#pragma once

#include <concord/index.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/data_sets.hpp"
#include "tests/support/support.hpp"

namespace concord::test {

/// Numbers out of an operation's draw, one after another.
class Draws {
 public:
  explicit Draws(std::uint64_t draw) : draw_(draw) {}
  std::size_t below(std::size_t n) { return hash(draw_, ++taken_) % n; }

 private:
  std::uint64_t draw_;
  std::uint64_t taken_ = 0;
};

class History {
 public:
  struct Living {
    std::uint64_t label;
    std::size_t number;  ///< of its insertion, from 0; it decides the vector
    std::size_t first;   ///< the number of the vector that it is a copy of, or its own
  };
  using Labels = std::vector<std::uint64_t>;

  /// `lies`: the distances to one vector in 16 are wrong, to show that a test sees it.
  History(std::uint64_t seed, bool lies);

  // What decides it all.
  [[nodiscard]] const IndexParams& params() const noexcept { return params_; }
  [[nodiscard]] bool own_labels() const noexcept { return own_labels_; }
  [[nodiscard]] std::vector<float> vector(std::size_t number) const;
  /// Of the insertion of that number, unless it replaces a vector and takes its label.
  [[nodiscard]] std::uint64_t label(std::size_t number) const;

  // What is there.
  [[nodiscard]] std::size_t size() const noexcept { return living_.size(); }
  [[nodiscard]] std::size_t insertions() const noexcept { return insertions_; }
  [[nodiscard]] std::size_t removals() const noexcept { return insertions_ - living_.size(); }
  [[nodiscard]] Labels labels() const;
  [[nodiscard]] const Living* find(std::uint64_t label) const;
  /// The labels of `count` living vectors, all different, or of all.
  [[nodiscard]] Labels draw_labels(std::size_t count, Draws& draws) const;

  // What happens.
  void insert(std::size_t count);
  void remove(const Labels& labels);
  void update(const Labels& labels);
  void flush();

  // What must be answered.
  [[nodiscard]] float distance(const std::vector<float>& query, std::size_t number) const;
  /// Labels of the k nearest, padded with kNoLabel.
  [[nodiscard]] Labels nearest(const std::vector<float>& query, std::uint32_t k) const;

  /// The rows of insertions [first, first + count).
  [[nodiscard]] Matrix rows(std::size_t first, std::size_t count) const;
  [[nodiscard]] Labels labels(std::size_t first, std::size_t count) const;
  /// Does to `index` all that happened, in calls of other lengths.
  void repeat(Index& index, Draws& draws) const;

 private:
  enum class Kind { insert, remove, update, flush };
  struct Step {
    Kind kind;
    Labels labels;       ///< of removed and replaced vectors
    std::size_t number;  ///< of the first vector inserted
    std::size_t count;
  };
  void erase(std::vector<Living>::const_iterator one);
  /// The next insertion. It is a copy where an equal vector lives.
  void append(std::uint64_t label);

  struct Equals {
    std::size_t first;  ///< the earliest since there was none
    std::size_t living = 0;
  };
  std::uint64_t seed_;
  bool lies_;
  IndexParams params_;
  bool own_labels_ = false;
  bool turns_to_floats_ = false;
  std::size_t insertions_ = 0;
  std::vector<Living> living_;
  std::map<std::vector<float>, Equals> equals_;  ///< of the vectors that live
  std::vector<Step> steps_;
};

}  // namespace concord::test
