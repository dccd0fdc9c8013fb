#include "tests/model/life.hpp"

#include <algorithm>
#include <concord/index.hpp>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "tests/support/data_sets.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

constexpr std::size_t kMostVectors = 700;

struct Mismatch {
  std::string what;
};

void require(bool holds, const std::string& what) {
  if (!holds) throw Mismatch{what};
}

/// Numbers out of an operation's draw, one after another.
class Draws {
 public:
  explicit Draws(std::uint64_t draw) : draw_(draw) {}
  std::size_t below(std::size_t n) { return hash(draw_, ++taken_) % n; }

 private:
  std::uint64_t draw_;
  std::uint64_t taken_ = 0;
};

class Life {
 public:
  Life(std::uint64_t seed, std::size_t lie_at) : seed_(seed), lie_at_(lie_at) {
    Draws draws(seed);
    const auto dimension = static_cast<std::uint32_t>(1 + draws.below(9));
    params_ = make_params(dimension, static_cast<std::uint32_t>(2 + draws.below(4)),
                          static_cast<std::uint32_t>(1 + draws.below(40)),
                          static_cast<std::uint32_t>(1 + draws.below(200)),
                          draws.below(2) == 0 ? Metric::l2sq : Metric::inner_product);
    own_labels_ = draws.below(2) == 0;
    durable_ = draws.below(2) == 0;
    turns_to_floats_ = draws.below(3) == 0;
    open();
  }

  void apply(const Operation& operation) {
    Draws draws(operation.draw);
    switch (operation.kind) {
      case Operation::add:
        return add(draws.below(90));
      case Operation::add_one:
        return add(1);
      case Operation::add_refused:
        return add_refused(draws);
      case Operation::add_cancelled:
        return add_cancelled(draws);
      case Operation::search:
        return search(*index_, n_, draws);
      case Operation::exact_search:
        return exact_search(*index_, n_, draws);
      case Operation::look_up:
        return look_up(*index_, n_, draws);
      case Operation::save:
        index_->save(saved_);
        saved_size_ = n_;
        return;
      case Operation::load:
        return load();
      case Operation::map:
        return map(draws);
      case Operation::reopen:
        if (!durable_) return;
        index_.reset();
        return open();
      case Operation::crash:
        return crash(draws);
      case Operation::compact:
        if (durable_) index_->compact();
        return;
      case Operation::runtime: {
        RuntimeOptions options;
        options.threads = static_cast<unsigned>(1 + draws.below(3));
        return index_->set_runtime(options);
      }
      case Operation::audit: {
        const AuditReport report = index_->audit();
        return require(report.ok, report.ok ? "" : "audit: " + report.messages.front());
      }
      default:
        return rebuild(draws);
    }
  }

  /// What holds after every operation.
  void check() const {
    require(index_->size() == n_,
            "size is " + std::to_string(index_->size()) + ", not " + std::to_string(n_));
  }

 private:
  // ---- the oracle
  [[nodiscard]] std::vector<float> vector(std::size_t id) const {
    std::vector<float> vector(params_.dimension);
    // One in four repeats an earlier one; whole numbers, later halves where bytes are to end.
    const std::size_t of = id % 4 == 3 ? id / 4 : id;
    for (std::uint32_t e = 0; e < params_.dimension; ++e) {
      vector[e] = static_cast<float>(hash(seed_ + 1, of, e) % 24);
      if (turns_to_floats_ && id >= 150) vector[e] -= 4.5f;
    }
    return vector;
  }
  [[nodiscard]] std::uint64_t label(std::size_t id) const {
    return own_labels_ ? hash(seed_ + 2, id) >> 1 : id;
  }
  [[nodiscard]] float distance(const std::vector<float>& query, std::size_t id) const {
    std::vector<float> other = vector(id);
    if (id == lie_at_) other[0] += 1;
    float sum = 0;  // exact: whole or half numbers below 2^20
    for (std::uint32_t e = 0; e < params_.dimension; ++e) {
      sum += params_.metric == Metric::l2sq ? (query[e] - other[e]) * (query[e] - other[e])
                                            : query[e] * other[e];
    }
    return params_.metric == Metric::l2sq ? sum : inner_product_distance(sum);
  }
  static float inner_product_distance(float sum) { return 1 - sum; }
  [[nodiscard]] std::vector<float> query(Draws& draws) const {
    std::vector<float> query(params_.dimension);
    for (float& x : query) x = static_cast<float>(draws.below(26)) - 1;
    return query;
  }
  [[nodiscard]] MatrixView<const float> row(const std::vector<float>& vector) const {
    return {vector.data(), 1, params_.dimension};
  }
  [[nodiscard]] Matrix rows(std::size_t first, std::size_t count) const {
    Matrix rows(count, params_.dimension);
    for (std::size_t i = 0; i < count; ++i) {
      const std::vector<float> from = vector(first + i);
      std::copy(from.begin(), from.end(), rows.row(i));
    }
    return rows;
  }
  [[nodiscard]] std::vector<std::uint64_t> labels(std::size_t first, std::size_t count) const {
    std::vector<std::uint64_t> labels(count);
    for (std::size_t i = 0; i < count; ++i) labels[i] = label(first + i);
    return labels;
  }

  // ---- operations
  void add(std::size_t count) {
    count = std::min(count, kMostVectors - std::min(kMostVectors, n_));
    const Matrix data = rows(n_, count);
    const std::size_t added =
        own_labels_ ? index_->add(data.view(), labels(n_, count)) : index_->add(data.view());
    require(added == count, "add returned " + std::to_string(added));
    n_ += count;
  }

  void add_refused(Draws& draws) {
    const std::size_t count = 1 + draws.below(20);
    Matrix data = rows(n_, count);
    std::vector<std::uint64_t> given = labels(n_, count);
    const std::size_t bad = draws.below(count);
    const std::size_t way = draws.below(3);
    if (way == 0) data.row(bad)[0] = std::numeric_limits<float>::quiet_NaN();
    if (way == 1) given[bad] = n_ > 0 ? label(draws.below(n_)) : given[(bad + 1) % count];
    if (way == 1 && n_ == 0 && count == 1) return;
    MatrixView<const float> view = data.view();
    if (way == 2) ++view.cols;
    const std::string before = index_->digest();
    try {
      index_->add(view, given);
    } catch (const Error&) {
      return require(index_->digest() == before, "a refused addition changed the index");
    }
    throw Mismatch{"an addition was taken that had to be refused, way " + std::to_string(way)};
  }

  void add_cancelled(Draws& draws) {
    const std::size_t count = std::min<std::size_t>(draws.below(120), kMostVectors - n_);
    const Matrix data = rows(n_, count);
    std::size_t asked = draws.below(4);
    const ProgressCallback stop = [&](std::uint64_t, std::uint64_t) { return asked-- > 0; };
    const std::size_t added = own_labels_ ? index_->add(data.view(), labels(n_, count), stop)
                                          : index_->add(data.view(), stop);
    require(added <= count, "a cancelled addition returned too many");
    n_ += added;
  }

  void search(const Index& index, std::size_t n, Draws& draws) const {
    const std::vector<float> asked = query(draws);
    const auto k = static_cast<std::uint32_t>(draws.below(15));
    const auto ef = static_cast<std::uint32_t>(1 + draws.below(60));
    const SearchResult result = index.search(row(asked), {.k = k, .ef = ef});
    require(result.counts[0] <= std::min<std::size_t>(k, n), "search found too many");
    require(n == 0 || k == 0 || result.counts[0] > 0, "search found nothing");
    std::vector<std::uint64_t> seen;
    for (std::uint32_t j = 0; j < result.counts[0]; ++j) {
      const std::size_t id = id_of(result.labels[j], n);
      require(result.distances[j] == distance(asked, id), "distance of a result");
      require(j == 0 || result.distances[j - 1] <= result.distances[j], "order of results");
      require(std::find(seen.begin(), seen.end(), id) == seen.end(), "a result twice");
      seen.push_back(id);
    }
    if (ef < n) return;
    // The list holds all of them, and all can be reached: the search is exact.
    require(result.labels == nearest(asked, n, k), "a search with ef >= size is not exact");
  }

  void exact_search(const Index& index, std::size_t n, Draws& draws) const {
    const std::vector<float> asked = query(draws);
    const auto k = static_cast<std::uint32_t>(draws.below(30));
    const SearchResult result = index.exact_search(row(asked), k);
    require(result.labels == nearest(asked, n, k), "exact search");
  }

  [[nodiscard]] std::vector<std::uint64_t> nearest(const std::vector<float>& asked, std::size_t n,
                                                   std::uint32_t k) const {
    std::vector<std::pair<float, std::size_t>> all(n);
    for (std::size_t id = 0; id < n; ++id) all[id] = {distance(asked, id), id};
    std::sort(all.begin(), all.end());
    std::vector<std::uint64_t> labels(k, kNoLabel);
    for (std::size_t j = 0; j < std::min<std::size_t>(k, n); ++j) labels[j] = label(all[j].second);
    return labels;
  }

  [[nodiscard]] std::size_t id_of(std::uint64_t wanted, std::size_t n) const {
    for (std::size_t id = 0; id < n; ++id) {
      if (label(id) == wanted) return id;
    }
    throw Mismatch{"a label that is not in the index"};
  }

  void look_up(const Index& index, std::size_t n, Draws& draws) const {
    const std::size_t id = draws.below(n + 20);
    require(index.contains(label(id)) == (id < n), "contains");
    if (id < n) require(index.vector(label(id)) == vector(id), "vector");
    require(index.labels() == labels(0, n), "labels");
  }

  void load() {
    if (!saved_size_ || durable_) return;
    *index_ = Index::load(saved_);
    n_ = *saved_size_;
  }

  void map(Draws& draws) const {
    if (!saved_size_) return;
    const Index mapped = Index::map(saved_);
    require(mapped.size() == *saved_size_, "size of a mapped file");
    search(mapped, *saved_size_, draws);
    look_up(mapped, *saved_size_, draws);
  }

  void open() {
    if (durable_) {
      index_.emplace(Index::open(path_, params_, Durability::system));
    } else {
      index_.emplace(params_);
    }
  }

  void crash(Draws& draws) {
    if (!durable_) return;
    const TempPath* const files = draws.below(2) == 0 ? &copy_a_ : &copy_b_;
    const std::filesystem::path to = files->path();
    const std::filesystem::path journal = path_.path().string() + ".journal";
    for (const auto& [from, suffix] :
         {std::pair(path_.path(), ""), std::pair(journal, ".journal")}) {
      const std::filesystem::path target = to.string() + suffix;
      std::filesystem::remove(target);
      if (std::filesystem::exists(from)) std::filesystem::copy_file(from, target);
    }
    if (draws.below(2) == 0) {  // the beginning of a record that never was finished
      std::ofstream torn(to.string() + ".journal", std::ios::binary | std::ios::app);
      for (std::size_t i = draws.below(24); i > 0; --i) torn.put('\0');
    }
    index_.reset();
    for (const auto& [from, suffix] : {std::pair(to, ""), std::pair(to, ".journal")}) {
      const std::filesystem::path source = from.string() + suffix;
      const std::filesystem::path target = path_.path().string() + suffix;
      std::filesystem::remove(target);
      if (std::filesystem::exists(source)) std::filesystem::copy_file(source, target);
    }
    open();
  }

  void rebuild(Draws& draws) const {
    if (n_ > 300) return;
    Index other(params_);
    for (std::size_t done = 0; done < n_;) {
      const std::size_t count = std::min(n_ - done, 1 + draws.below(200));
      const Matrix data = rows(done, count);
      if (own_labels_) {
        other.add(data.view(), labels(done, count));
      } else {
        other.add(data.view());
      }
      done += count;
    }
    require(other.digest() == index_->digest(), "digest of a rebuilt index");
  }

  std::uint64_t seed_;
  std::size_t lie_at_;
  IndexParams params_;
  bool own_labels_ = false;
  bool durable_ = false;
  bool turns_to_floats_ = false;
  std::size_t n_ = 0;
  TempPath saved_, path_, copy_a_, copy_b_;
  std::optional<std::size_t> saved_size_;
  std::optional<Index> index_;
};

constexpr const char* kNames[] = {
    "add",  "add_one", "add_refused", "add_cancelled", "search",  "exact",   "look_up", "save",
    "load", "map",     "reopen",      "crash",         "compact", "runtime", "audit",   "rebuild"};
static_assert(std::size(kNames) == Operation::kinds);

}  // namespace

std::ostream& operator<<(std::ostream& out, const Operation& operation) {
  return out << kNames[operation.kind] << "(" << operation.draw << ")";
}

std::vector<Operation> make_life(std::uint64_t seed, std::size_t count) {
  std::vector<Operation> life(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t draw = hash(seed, 1000 + i);
    // Half of all operations search or look up; files and crashes are rarer than additions.
    constexpr Operation::Kind kOften[] = {Operation::add,          Operation::add_one,
                                          Operation::search,       Operation::search,
                                          Operation::exact_search, Operation::look_up};
    const std::size_t place = draw % 20;
    life[i].kind = place < 11 ? kOften[place % std::size(kOften)]
                              : static_cast<Operation::Kind>(hash(draw, 5) % Operation::kinds);
    life[i].draw = draw;
  }
  return life;
}

std::optional<std::string> live(std::uint64_t seed, const std::vector<Operation>& life,
                                std::size_t lie_at_size) {
  std::size_t i = 0;
  const auto where = [&](const std::string& what) {
    std::ostringstream text;
    text << "operation " << i;
    if (i < life.size()) text << ", " << life[i];
    text << ": " << what;
    return text.str();
  };
  try {
    Life one(seed, lie_at_size);
    for (; i < life.size(); ++i) {
      one.apply(life[i]);
      one.check();
    }
  } catch (const Mismatch& mismatch) {
    return where(mismatch.what);
  } catch (const std::exception& error) {
    return where(std::string("threw ") + error.what());
  }
  return std::nullopt;
}

}  // namespace concord::test
