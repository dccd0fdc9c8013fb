#include "tests/model/life.hpp"

#include <algorithm>
#include <atomic>
#include <concord/index.hpp>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "tests/cuda/host_devices.hpp"
#include "tests/model/history.hpp"

namespace concord::test {
namespace {

constexpr std::size_t kMostVectors = 700;
constexpr std::size_t kSmall = 150;  // an index of so many vectors is audited after each operation
constexpr std::size_t kOpensADevice = 256;  // queries of a call

struct Mismatch {
  std::string what;
};

void require(bool holds, const std::string& what) {
  if (!holds) throw Mismatch{what};
}

/// The device of a life that has one: fails for good at some call, until it is opened again.
class Device {
 public:
  void fail_at(std::int64_t call) { calls_left_ = call; }
  void mend() { calls_left_ = std::numeric_limits<std::int64_t>::max(); }
  void call() {
    if (--calls_left_ < 0) throw Error(ErrorCode::cuda, "the device is lost");
  }

 private:
  std::atomic<std::int64_t> calls_left_ = std::numeric_limits<std::int64_t>::max();
};

class Life {
 public:
  Life(std::uint64_t seed, bool lies) : history_(seed, lies) {
    Draws draws(seed + 1);
    durable_ = draws.below(2) == 0;
    if (draws.below(4) == 0) {
      device_ = std::make_shared<Device>();
      devices_.emplace(std::size_t{1} << 26,
                       [device = device_](const char*, std::uint64_t) { device->call(); });
    }
    open();
    // A life with a lie begins empty, so that a short one shows it.
    const bool may_have_codes = !lies && history_.params().codes == Codes::sq4;
    if (may_have_codes && draws.below(2) == 0) come_near_codes(draws);
  }
  ~Life() {
    if (device_) device_->mend();
    index_.reset();  // before its devices
  }
  Life(const Life&) = delete;
  Life& operator=(const Life&) = delete;

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
      case Operation::remove:
        return remove(draws.below(draws.below(8) == 0 ? 200 : 20), draws);
      case Operation::remove_refused:
        return remove_refused(draws);
      case Operation::update:
        return update(draws.below(40), draws);
      case Operation::upsert:
        return upsert(draws);
      case Operation::flush:
        index_->flush();
        return history_.flush();
      case Operation::search:
        return search(*index_, history_, draws);
      case Operation::search_many:
        return search_many(draws);
      case Operation::exact_search:
        return exact_search(draws);
      case Operation::look_up:
        return look_up(*index_, history_, draws);
      case Operation::save:
        index_->save(saved_file_);
        saved_ = history_;
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
      case Operation::runtime:
        if (device_) device_->mend();
        return index_->set_runtime(options(static_cast<unsigned>(1 + draws.below(3))));
      case Operation::lose_device:
        if (device_) device_->fail_at(static_cast<std::int64_t>(draws.below(60)));
        return;
      case Operation::audit:
        return audit();
      default:
        return rebuild(draws);
    }
  }

  /// What holds after every operation.
  void check() const {
    const Stats stats = index_->stats();
    require(index_->size() == history_.size(), "size is " + std::to_string(index_->size()) +
                                                   ", not " + std::to_string(history_.size()));
    require(stats.insertions == history_.insertions(), "insertions");
    require(stats.removals == history_.removals(), "removals");
    require(stats.tombstones <= history_.params().epoch_limit, "too many tombstones");
    if (history_.size() <= kSmall) audit();
  }

 private:
  using Labels = History::Labels;

  [[nodiscard]] RuntimeOptions options(unsigned threads) const {
    RuntimeOptions options;
    options.threads = threads;
    if (!device_) options.device = "cpu";
    options.log = [](LogLevel, std::string_view) {};
    return options;
  }
  [[nodiscard]] std::vector<float> query(Draws& draws) const {
    std::vector<float> query(history_.params().dimension);
    for (float& x : query) x = static_cast<float>(draws.below(26)) - 1;
    return query;
  }
  [[nodiscard]] MatrixView<const float> row(const std::vector<float>& vector) const {
    return {vector.data(), 1, vector.size()};
  }

  // ---- operations
  std::size_t add_rows(std::size_t count, const ProgressCallback& progress = {}) {
    const std::size_t first = history_.insertions();
    const Matrix data = history_.rows(first, count);
    return history_.own_labels() ? index_->add(data.view(), history_.labels(first, count), progress)
                                 : index_->add(data.view(), progress);
  }

  [[nodiscard]] std::size_t room() const {
    return kMostVectors - std::min(kMostVectors, history_.size());
  }

  void add(std::size_t count) {
    count = std::min(count, room());
    const std::size_t added = add_rows(count);
    require(added == count, "add returned " + std::to_string(added));
    history_.insert(count);
  }

  /// Codes of four bits come with the 1,024th insertion, which few operations would reach.
  void come_near_codes(Draws& draws) {
    add(600);
    remove(450, draws);
    add(300 + draws.below(120));
  }

  void add_cancelled(Draws& draws) {
    const std::size_t count = std::min(draws.below(120), room());
    std::size_t asked = draws.below(4);
    const std::size_t added =
        add_rows(count, [&](std::uint64_t, std::uint64_t) { return asked-- > 0; });
    require(added <= count, "a cancelled addition returned too many");
    history_.insert(added);
  }

  /// `change` must be refused, and change nothing.
  template <class Change>
  void refused(const std::string& what, const Change& change) {
    const std::string before = index_->digest();
    try {
      change();
    } catch (const Error&) {
      return require(index_->digest() == before, what + " was refused and changed the index");
    }
    throw Mismatch{what + " was taken, which had to be refused"};
  }

  void add_refused(Draws& draws) {
    const std::size_t count = 1 + draws.below(20);
    const std::size_t first = history_.insertions();
    Matrix data = history_.rows(first, count);
    Labels given = history_.labels(first, count);
    const std::size_t bad = draws.below(count);
    const std::size_t way = draws.below(3);
    if (way == 0) data.row(bad)[0] = std::numeric_limits<float>::quiet_NaN();
    if (way == 1 && history_.size() == 0 && count == 1) return;
    if (way == 1) {
      given[bad] =
          history_.size() > 0 ? history_.draw_labels(1, draws)[0] : given[(bad + 1) % count];
    }
    MatrixView<const float> view = data.view();
    if (way == 2) ++view.cols;
    refused("addition in way " + std::to_string(way), [&] { index_->add(view, given); });
  }

  void remove(std::size_t count, Draws& draws) {
    const Labels labels = history_.draw_labels(count, draws);
    require(index_->remove(labels) == labels.size(), "remove returned another number");
    history_.remove(labels);
    for (const std::uint64_t label : labels) {
      require(!index_->contains(label), "a removed label is there");
    }
  }

  void remove_refused(Draws& draws) {
    Labels labels = history_.draw_labels(draws.below(20), draws);
    const bool twice = !labels.empty() && draws.below(2) == 0;
    labels.push_back(twice ? labels[draws.below(labels.size())]
                           : history_.label(history_.insertions() + 5));
    refused("removal", [&] { index_->remove(labels); });
    const Matrix data = history_.rows(history_.insertions(), labels.size());
    refused("update", [&] { index_->update(data.view(), labels); });
  }

  void update(std::size_t count, Draws& draws) {
    const Labels labels = history_.draw_labels(count, draws);
    const Matrix data = history_.rows(history_.insertions(), labels.size());
    const bool cancels = draws.below(4) == 0;
    std::size_t asked = draws.below(3);
    const std::size_t done = index_->update(
        data.view(), labels, [&](std::uint64_t, std::uint64_t) { return !cancels || asked-- > 0; });
    require(done == labels.size() || (cancels && done < labels.size()),
            "update returned " + std::to_string(done));
    history_.update({labels.begin(), labels.begin() + static_cast<std::ptrdiff_t>(done)});
  }

  /// One label that is there and one that is not.
  void upsert(Draws& draws) {
    if (history_.size() == 0 || room() == 0) return;
    const std::uint64_t old = history_.draw_labels(1, draws)[0];
    const std::uint64_t next = history_.label(history_.insertions() + 1);
    const Matrix data = history_.rows(history_.insertions(), 2);
    require(index_->upsert(data.view(), Labels{old, next}) == 2, "upsert returned another number");
    history_.update({old});
    history_.insert(1);
  }

  void search(const Index& index, const History& history, Draws& draws) const {
    const std::vector<float> asked = query(draws);
    const auto k = static_cast<std::uint32_t>(draws.below(15));
    const auto ef = static_cast<std::uint32_t>(1 + draws.below(60));
    const SearchResult result = index.search(row(asked), {.k = k, .ef = ef});
    require(result.counts[0] == std::min<std::size_t>(k, history.size()),
            "search found " + std::to_string(result.counts[0]));
    Labels seen;
    for (std::uint32_t j = 0; j < result.counts[0]; ++j) {
      const History::Living* const found = history.find(result.labels[j]);
      require(found != nullptr, "a label that is not in the index");
      require(result.distances[j] == history.distance(asked, found->number),
              "distance of a result");
      require(j == 0 || result.distances[j - 1] <= result.distances[j], "order of results");
      require(std::ranges::find(seen, found->label) == seen.end(), "a result twice");
      seen.push_back(found->label);
    }
    // Where the list holds all of them, the search is exact, because all can be reached.
    const bool holds_all = ef >= history.size() + index.stats().tombstones;
    if (holds_all) {
      require(result.labels == history.nearest(asked, k), "a search with ef >= size is not exact");
    }
    range_search(index, history, asked, ef, holds_all, draws);
  }

  void range_search(const Index& index, const History& history, const std::vector<float>& asked,
                    std::uint32_t ef, bool is_exact, Draws& draws) const {
    if (history.size() == 0 || history.params().metric == Metric::inner_product) return;
    Labels within = history.nearest(asked, static_cast<std::uint32_t>(history.size()));
    const auto distance = [&](std::uint64_t label) {
      return history.distance(asked, history.find(label)->number);
    };
    const float radius = std::max(0.0f, distance(within[draws.below(within.size())]));
    std::erase_if(within, [&](std::uint64_t label) { return distance(label) > radius; });
    const RangeResult result = index.range_search(row(asked), radius, {ef, 0.1f});
    require(result.lims == std::vector<std::size_t>{0, result.labels.size()}, "lims");
    std::size_t next = 0;  // the hits are some of what is within, in its order
    for (const std::uint64_t label : result.labels) {
      while (next < within.size() && within[next] != label) ++next;
      require(next++ < within.size(), "a range search found what it must not");
    }
    require(!is_exact || result.labels == within, "a range search with ef >= size is not exact");
  }

  /// So many queries in one call that a device answers them, where there is one, as one by one.
  void search_many(Draws& draws) const {
    Matrix queries(kOpensADevice, history_.params().dimension);
    for (std::size_t q = 0; q < kOpensADevice; ++q) std::ranges::copy(query(draws), queries.row(q));
    const SearchParams params{.k = 5, .ef = static_cast<std::uint32_t>(5 + draws.below(40))};
    const SearchResult together = index_->search(queries.view(), params);
    for (std::size_t q = draws.below(40); q < kOpensADevice; q += 40) {
      const SearchResult alone = index_->search(queries.slice(q, 1), params);
      const auto first = together.labels.begin() + static_cast<std::ptrdiff_t>(q * params.k);
      require(std::equal(alone.labels.begin(), alone.labels.end(), first),
              "a query of many has another answer alone");
    }
  }

  void exact_search(Draws& draws) const {
    const std::vector<float> asked = query(draws);
    const auto k = static_cast<std::uint32_t>(draws.below(30));
    require(index_->exact_search(row(asked), k).labels == history_.nearest(asked, k),
            "exact search");
  }

  void look_up(const Index& index, const History& history, Draws& draws) const {
    // Labels of living, removed and later vectors.
    const std::uint64_t label = history.label(draws.below(history.insertions() + 20));
    const History::Living* const found = history.find(label);
    require(index.contains(label) == (found != nullptr), "contains");
    if (found != nullptr) {
      require(index.vector(label) == history.vector(found->number), "vector");
    }
    require(index.labels() == history.labels(), "labels");
  }

  void load() {
    if (!saved_ || durable_) return;
    *index_ = Index::load(saved_file_, options(2));
    history_ = *saved_;
  }

  void map(Draws& draws) const {
    if (!saved_) return;
    const Index mapped = Index::map(saved_file_, MapCheck::on_first_use, options(2));
    require(mapped.size() == saved_->size(), "size of a mapped file");
    search(mapped, *saved_, draws);
    look_up(mapped, *saved_, draws);
  }

  void open() {
    if (durable_) {
      index_.emplace(Index::open(path_, history_.params(), Durability::system, options(2)));
    } else {
      index_.emplace(history_.params(), options(2));
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

  void audit() const {
    const AuditReport report = index_->audit();
    require(report.ok, report.ok ? "" : "audit: " + report.messages.front());
  }

  void rebuild(Draws& draws) const {
    if (history_.insertions() > 500) return;
    Index other(history_.params(), RuntimeOptions{1, "cpu", 0, {}});
    history_.repeat(other, draws);
    require(other.digest() == index_->digest(), "digest of a rebuilt index");
  }

  std::shared_ptr<Device> device_;  ///< of one life in four
  std::optional<HostDevices> devices_;
  History history_;
  bool durable_ = false;
  TempPath saved_file_, path_, copy_a_, copy_b_;
  std::optional<History> saved_;  ///< what is in saved_file_
  std::optional<Index> index_;
};

constexpr const char* kNames[] = {
    "add",     "add_one", "add_refused", "add_cancelled", "remove", "remove_refused",
    "update",  "upsert",  "flush",       "search",        "many",   "exact",
    "look_up", "save",    "load",        "map",           "reopen", "crash",
    "compact", "runtime", "lose_device", "audit",         "rebuild"};
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
    constexpr Operation::Kind kOften[] = {
        Operation::add,    Operation::add_one, Operation::remove,       Operation::update,
        Operation::search, Operation::search,  Operation::exact_search, Operation::look_up};
    const std::size_t place = draw % 20;
    life[i].kind = place < 12 ? kOften[place % std::size(kOften)]
                              : static_cast<Operation::Kind>(hash(draw, 5) % Operation::kinds);
    life[i].draw = draw;
  }
  return life;
}

std::optional<std::string> live(std::uint64_t seed, const std::vector<Operation>& life, bool lies) {
  std::size_t i = 0;
  const auto where = [&](const std::string& what) {
    std::ostringstream text;
    text << "operation " << i;
    if (i < life.size()) text << ", " << life[i];
    text << ": " << what;
    return text.str();
  };
  try {
    Life one(seed, lies);
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
