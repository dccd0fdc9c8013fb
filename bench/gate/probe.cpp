// The fixed work that the gate counts: small indexes built and searched by one thread.
//
//   probe        prints one line of JSON for each case
//
// Data come from integer arithmetic alone, so that they are the same wherever this is compiled.
// callgrind counts the instructions between entering and leaving build_counted and search_counted.
// Thread-safety: one thread.
#include <array>
#include <concord/index.hpp>
#if __has_include(<concord/sharded_index.hpp>)  // older commits lack it, and its cases
#include <concord/sharded_index.hpp>
#define CONCORD_HAS_SHARDS
#endif
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <new>
#include <vector>

namespace {

std::uint64_t allocated = 0;    // bytes asked of operator new
std::uint64_t allocations = 0;  // calls

}  // namespace

// NOLINTBEGIN(*): the replaceable allocation functions, counted
void* operator new(std::size_t bytes) {
  allocated += bytes;
  ++allocations;
  if (void* const memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  allocated += bytes;
  ++allocations;
  const auto to = static_cast<std::size_t>(alignment);
  if (void* const memory = std::aligned_alloc(to, (bytes + to - 1) / to * to)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
// NOLINTEND(*)

// Names without mangling, for callgrind, which confuses options of names that begin alike; never
// inlined.
extern "C" [[gnu::noinline]] void build_counted(const std::function<void()>& build) { build(); }
extern "C" [[gnu::noinline]] void search_counted(const std::function<void()>& search) { search(); }

namespace {

struct Case {
  const char* name;
  concord::Metric metric;
  std::uint32_t dimension;
  std::size_t vectors;
  bool bytes;            // elements are small whole numbers
  std::uint32_t shards;  // of a ShardedIndex; 0: an Index
};

constexpr std::size_t kQueries = 200;
constexpr std::array kCases{
    Case{"l2sq-float", concord::Metric::l2sq, 48, 1200, false, 0},
    Case{"l2sq-bytes", concord::Metric::l2sq, 128, 1000, true, 0},
    Case{"cosine-float", concord::Metric::cosine, 100, 1000, false, 0},
#ifdef CONCORD_HAS_SHARDS
    Case{"1-shard", concord::Metric::l2sq, 48, 1200, false, 1},
    Case{"4-shards", concord::Metric::l2sq, 48, 1200, false, 4},
#endif
};

// splitmix64
std::uint64_t next(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15;
  std::uint64_t x = state;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

/// Rows near one of 40 centres each.
std::vector<float> make_rows(const Case& one, std::size_t rows, std::uint64_t seed) {
  std::vector<float> centres(40 * std::size_t{one.dimension});
  std::uint64_t state = 7;
  for (float& x : centres) x = static_cast<float>(next(state) % 160);
  std::vector<float> values(rows * one.dimension);
  state = seed;
  for (std::size_t r = 0; r < rows; ++r) {
    const float* const centre = &centres[next(state) % 40 * one.dimension];
    for (std::uint32_t e = 0; e < one.dimension; ++e) {
      const float offset = static_cast<float>(next(state) % 64);
      values[r * one.dimension + e] = centre[e] + (one.bytes ? offset : offset * 0.7F - 20.3F);
    }
  }
  return values;
}

// Of an index that make() returns.
template <class Make>
void run(const Case& one, const Make& make) {
  const std::vector<float> rows = make_rows(one, one.vectors, 1);
  const std::vector<float> queries = make_rows(one, kQueries, 2);

  const std::uint64_t at_start = allocated;
  const std::uint64_t calls_at_start = allocations;
  auto index = make();
  build_counted([&] { index.add({rows.data(), one.vectors, one.dimension}); });
  const std::uint64_t build_bytes = allocated - at_start;
  const std::uint64_t build_calls = allocations - calls_at_start;

  const std::uint64_t before_search = allocated;
  concord::SearchResult result;
  search_counted([&] {
    result = index.search({queries.data(), kQueries, one.dimension}, {10, 48});
  });
  const std::uint64_t search_bytes = allocated - before_search;

  const concord::Stats stats = index.stats();
  const auto each = [](std::uint64_t count, std::size_t n) {
    return static_cast<double>(count) / static_cast<double>(n);
  };
  std::printf(
      "{\"case\": \"%s\", \"isa\": \"%s\", \"digest\": \"%s\", \"distances per insert\": %.4f, "
      "\"hops per insert\": %.4f, \"distances per query\": %.4f, \"hops per query\": %.4f, "
      "\"bytes allocated by the build\": %llu, \"allocations of the build\": %llu, "
      "\"bytes allocated by the search\": %llu, \"bytes the index keeps\": %llu}\n",
      one.name, stats.isa.c_str(), index.digest().c_str(), each(stats.build.distances, one.vectors),
      each(stats.build.hops, one.vectors), each(stats.search.distances, kQueries),
      each(stats.search.hops, kQueries), static_cast<unsigned long long>(build_bytes),
      static_cast<unsigned long long>(build_calls), static_cast<unsigned long long>(search_bytes),
      static_cast<unsigned long long>(index.memory().total()));
}

void run(const Case& one) {
  concord::IndexParams params;
  params.dimension = one.dimension;
  params.metric = one.metric;
  params.M = 12;
  params.ef_construction = 60;
  concord::RuntimeOptions options;
  options.threads = 1;
  options.device = "cpu";
  if (one.shards == 0) return run(one, [&] { return concord::Index(params, options); });
#ifdef CONCORD_HAS_SHARDS
  const concord::ShardParams shards{one.shards, 1};
  run(one, [&] { return concord::ShardedIndex(params, shards, {options, {}}); });
#endif
}

}  // namespace

int main() {
  for (const Case& one : kCases) run(one);
}
