#include "tests/model/history.hpp"

#include <algorithm>
#include <set>
#include <tuple>

#include "tests/support/graph_builder.hpp"

namespace concord::test {

History::History(std::uint64_t seed, bool lies) : seed_(seed), lies_(lies) {
  Draws draws(seed);
  const auto dimension = static_cast<std::uint32_t>(1 + draws.below(9));
  params_ = make_params(dimension, static_cast<std::uint32_t>(2 + draws.below(4)),
                        static_cast<std::uint32_t>(1 + draws.below(40)),
                        static_cast<std::uint32_t>(1 + draws.below(200)),
                        draws.below(2) == 0 ? Metric::l2sq : Metric::inner_product);
  own_labels_ = draws.below(2) == 0;
  turns_to_floats_ = draws.below(3) == 0;
  constexpr Codes kCodes[] = {Codes::sq8, Codes::none, Codes::sq4};
  params_.codes = kCodes[draws.below(3)];
  if (draws.below(3) == 0) params_.storage = Storage::f16;  // which holds these numbers
}

std::vector<float> History::vector(std::size_t number) const {
  std::vector<float> vector(params_.dimension);
  // One in four repeats an earlier one; whole numbers, later halves where bytes are to end.
  const std::size_t of = number % 4 == 3 ? number / 4 : number;
  for (std::uint32_t e = 0; e < params_.dimension; ++e) {
    vector[e] = static_cast<float>(hash(seed_ + 1, of, e) % 24);
    if (turns_to_floats_ && number >= 150) vector[e] -= 4.5f;
  }
  return vector;
}

std::uint64_t History::label(std::size_t number) const {
  return own_labels_ ? hash(seed_ + 2, number) >> 1 : number;
}

History::Labels History::labels() const {
  Labels labels;
  for (const Living& one : living_) labels.push_back(one.label);
  return labels;
}

const History::Living* History::find(std::uint64_t label) const {
  const auto found = std::ranges::find(living_, label, &Living::label);
  return found == living_.end() ? nullptr : &*found;
}

History::Labels History::draw_labels(std::size_t count, Draws& draws) const {
  Labels all = labels();
  count = std::min(count, all.size());
  for (std::size_t i = 0; i < count; ++i) std::swap(all[i], all[i + draws.below(all.size() - i)]);
  all.resize(count);
  return all;
}

void History::insert(std::size_t count) {
  steps_.push_back({Kind::insert, {}, insertions_, count});
  for (; count > 0; --count) append(label(insertions_));
}

void History::append(std::uint64_t label) {
  Equals& equals = equals_.try_emplace(vector(insertions_), Equals{insertions_}).first->second;
  ++equals.living;
  living_.push_back({label, insertions_++, equals.first});
}

void History::remove(const Labels& labels) {
  steps_.push_back({Kind::remove, labels, insertions_, 0});
  for (const std::uint64_t label : labels) {
    erase(std::ranges::find(living_, label, &Living::label));
  }
}

void History::update(const Labels& labels) {
  steps_.push_back({Kind::update, labels, insertions_, labels.size()});
  for (const std::uint64_t label : labels) {
    const auto place = std::ranges::find(living_, label, &Living::label) - living_.begin();
    append(label);
    erase(living_.begin() + place);
  }
}

void History::flush() { steps_.push_back({Kind::flush, {}, insertions_, 0}); }

void History::erase(std::vector<Living>::const_iterator one) {
  const auto equals = equals_.find(vector(one->number));
  if (--equals->second.living == 0) equals_.erase(equals);
  living_.erase(one);
}

float History::distance(const std::vector<float>& query, std::size_t number) const {
  std::vector<float> other = vector(number);
  if (lies_ && number % 16 == 3) other[0] += 1;
  float sum = 0;  // exact: whole or half numbers below 2^20
  for (std::uint32_t e = 0; e < params_.dimension; ++e) {
    const float difference = query[e] - other[e];
    sum += params_.metric == Metric::l2sq ? difference * difference : query[e] * other[e];
  }
  return params_.metric == Metric::l2sq ? sum : 1 - sum;
}

History::Labels History::nearest(const std::vector<float>& query, std::uint32_t k) const {
  // By (distance, number); of equal vectors the earliest that lives has the number of the first.
  std::vector<std::tuple<float, std::size_t, std::size_t>> all;
  std::set<std::size_t> begun;
  for (std::size_t i = 0; i < living_.size(); ++i) {
    const bool is_earliest = begun.insert(living_[i].first).second;
    const std::size_t rank = is_earliest ? living_[i].first : living_[i].number;
    all.emplace_back(distance(query, living_[i].number), rank, i);
  }
  std::ranges::sort(all);
  Labels labels(k, kNoLabel);
  for (std::size_t j = 0; j < std::min<std::size_t>(k, all.size()); ++j) {
    labels[j] = living_[std::get<2>(all[j])].label;
  }
  return labels;
}

Matrix History::rows(std::size_t first, std::size_t count) const {
  Matrix rows(count, params_.dimension);
  for (std::size_t i = 0; i < count; ++i) std::ranges::copy(vector(first + i), rows.row(i));
  return rows;
}

History::Labels History::labels(std::size_t first, std::size_t count) const {
  Labels labels(count);
  for (std::size_t i = 0; i < count; ++i) labels[i] = label(first + i);
  return labels;
}

void History::repeat(Index& index, Draws& draws) const {
  for (const Step& step : steps_) {
    if (step.kind == Kind::flush) index.flush();
    const std::size_t all = step.kind == Kind::insert ? step.count : step.labels.size();
    for (std::size_t done = 0; done < all;) {
      const std::size_t some = std::min(all - done, 1 + draws.below(200));
      const Matrix data = rows(step.number + done, step.kind == Kind::remove ? 0 : some);
      if (step.kind == Kind::remove) index.remove(std::span(step.labels).subspan(done, some));
      if (step.kind == Kind::update) {
        index.update(data.view(), std::span(step.labels).subspan(done, some));
      }
      if (step.kind == Kind::insert && own_labels_) {
        index.add(data.view(), labels(step.number + done, some));
      } else if (step.kind == Kind::insert) {
        index.add(data.view());
      }
      done += some;
    }
  }
}

}  // namespace concord::test
