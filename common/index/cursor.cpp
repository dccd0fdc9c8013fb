// concord::Cursor: pages of a search that goes on.

#include <algorithm>
#include <concord/cursor.hpp>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "common/base/float_environment.hpp"
#include "common/index/cursor_impl.hpp"
#include "common/index/index_impl.hpp"
#include "cpu/paged_search.hpp"

namespace concord {
namespace {

using Parts = std::remove_cvref_t<decltype(IndexAccess::impl(std::declval<const Index&>()))>;

// The parts of a mapped file that must be sound.
void expect_sound(const Parts& index) {
  index.mapped.expect_sound(
      {core::FilePart::graph, core::FilePart::vectors, core::FilePart::labels});
}

}  // namespace

/// The pages of one index.
struct IndexAccess::IndexPages final : IndexAccess::CursorImpl {
  /// REQUIRES that the caller is among the readers.
  IndexPages(const Parts& parts, std::vector<float> query, const SearchParams& params,
             std::optional<Filter> among, const core::MatchSet* set)
      : index(parts),
        filter(std::move(among)),
        search(parts.contents, parts.metric_kernels(), std::move(query), params, set) {}

  SearchResult next(std::uint32_t k) override {
    check_exact(k);
    SearchResult page = result_of(1, k);
    std::vector<core::Key> keys;
    const core::FloatEnvironment environment;
    const auto reading = index.readers.enter();
    page.counts[0] = next_keys(k, keys);
    index.write_results(keys, k, output_of(page));
    return page;
  }
  /// Fills `keys` with the next page, and kWorstKey behind it. Returns how many were found.
  /// REQUIRES that the caller is among the readers.
  std::uint32_t next_keys(std::uint32_t k, std::vector<core::Key>& keys) {
    keys.assign(k, core::kWorstKey);
    const core::FloatEnvironment environment;
    expect_sound(index);
    const std::uint32_t found = search.next(k, keys.data());
    index.count(0, search.take_counts());
    return found;
  }
  [[nodiscard]] std::size_t given() const noexcept override { return search.given(); }

  const Parts& index;
  std::optional<Filter> filter;  ///< keeps the set
  cpu::PagedSearch search;
};

Cursor::Cursor(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Cursor::Cursor(Cursor&&) noexcept = default;
Cursor& Cursor::operator=(Cursor&&) noexcept = default;
Cursor::~Cursor() = default;

std::size_t Cursor::given() const noexcept { return impl_->given(); }
SearchResult Cursor::next(std::uint32_t k) { return impl_->next(k); }

Cursor Index::cursor(std::span<const float> query, const SearchParams& params,
                     const SearchOptions& options) const {
  check_search(params, impl_->contents.graph.params().metric);
  const MatrixView<const float> row(query.data(), 1, query.size());
  impl_->contents.vectors.check_shape(row, "query");
  if (options.groups != nullptr) {
    throw Error(ErrorCode::invalid_parameter, "a cursor takes no groups; a search does");
  }
  const std::vector<const core::MatchSet*> sets = IndexAccess::filters_of(*this, options, 1);
  const Filter* const filter = options.filter != nullptr ? options.filter
                               : sets.empty()            ? nullptr
                                                         : options.filters[0];
  const core::FloatEnvironment environment;
  const auto reading = impl_->readers.enter();
  expect_sound(*impl_);
  std::vector<float> stored(impl_->contents.vectors.stride());
  impl_->contents.vectors.prepare(query.data(), stored.data(), "query", 0);
  impl_->count(1, {});
  return Cursor(std::make_unique<IndexAccess::IndexPages>(
      *impl_, std::move(stored), params,
      filter == nullptr ? std::nullopt : std::optional<Filter>(*filter),
      filter == nullptr ? nullptr : sets[0]));
}

Cursor IndexAccess::cursor_of(std::unique_ptr<CursorImpl> impl) { return Cursor(std::move(impl)); }

void IndexAccess::next_keys(Cursor& cursor, std::uint32_t k, std::vector<core::Key>& keys) {
  keys.resize(static_cast<IndexPages&>(*cursor.impl_).next_keys(k, keys));
}

bool IndexAccess::lives(const Index& index, std::uint64_t label, std::uint64_t number) {
  const auto reading = index.impl_->readers.enter();
  const core::NodeId node = index.impl_->find(label);
  return node != core::kNoNode && number_of(index, node) == number;
}

}  // namespace concord
