#include "cuda/backend.hpp"

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "common/base/stopwatch.hpp"

namespace concord::cuda {
namespace {

DeviceSource& device_source() {
  static DeviceSource source;
  return source;
}

}  // namespace

DeviceSpec DeviceSpec::parse(const std::string& text) {
  std::string name = text;
  std::transform(name.begin(), name.end(), name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 'a' - 'A') : c;
  });
  if (name == "gpu" || name.starts_with("gpu:")) name.replace(0, 3, "cuda");
  if (name == "auto") return {true, false, -1};
  if (name == "cpu") return {false, false, -1};
  if (name == "cuda") return {true, true, -1};
  int ordinal = 0;
  const char* const end = name.data() + name.size();
  if (name.starts_with("cuda:")) {
    const auto [stop, error] = std::from_chars(name.data() + 5, end, ordinal);
    if (error == std::errc{} && stop == end && ordinal >= 0) return {true, true, ordinal};
  }
  throw Error(
      ErrorCode::invalid_parameter,
      "device '" + text + "' is unknown; allowed are auto, cpu, cuda and cuda:K (gpu is cuda)");
}

void set_device_source_for_tests(DeviceSource source) { device_source() = std::move(source); }

FoundDevice find_device(int ordinal) {
  static std::atomic<pid_t> user{0};  // the process that has used CUDA
  const pid_t self = getpid();
  if (const pid_t before = user; before != 0 && before != self) {
    return {nullptr, "process " + std::to_string(before) +
                         " used CUDA before it forked this one, and CUDA cannot be used in such a "
                         "process; start it with exec (Python: 'spawn')"};
  }
  FoundDevice found = device_source() ? device_source()(ordinal) : find_cuda_device(ordinal);
  if (found.device) user = self;
  return found;
}

Backend::Backend(std::unique_ptr<Device> device, const core::Contents& contents,
                 core::ThreadPool& pool, std::size_t budget, BuildStats& build)
    : device_((device->set_limit(budget), std::move(device))),
      mirror_(*device_, contents, pool, stats_),
      proposer_(*device_, mirror_, contents, stats_, build),
      searcher_(*device_, mirror_, contents, pool, stats_),
      graph_(contents.graph) {
  stats_.name = device_->name();
}

// The flag first: searches that already wait for the mutex then return without searching.
void Backend::keep_for_writer(bool kept) noexcept {
  kept_ = kept;
  const std::lock_guard lock(mutex_);
}

void Backend::give_up() noexcept {
  const std::lock_guard lock(mutex_);
  failed_ = true;
}

DeviceStats Backend::stats() const {
  proposer_.wait_for_submitter();
  const std::lock_guard lock(mutex_);
  DeviceStats stats = stats_;
  stats.memory_bytes = device_->held_bytes();
  return stats;
}

bool Backend::takes_search(std::size_t queries, std::uint32_t ef) const {
  return queries > 0 && !kept_ && searcher_.can_search(ef) && router_.prefers_device(queries, ef);
}

bool Backend::takes_filtered(std::size_t queries, std::uint32_t ef) const {
  return queries > 0 && !kept_ && knows_matches() && searcher_.can_filter(ef) &&
         filtered_router_.prefers_device(queries, ef);
}

bool Backend::takes_exact_filtered(std::size_t queries, std::uint32_t matches) const {
  return queries > 0 && matches > 0 && !kept_ && knows_matches() &&
         exact_router_.prefers_device(queries, matches);
}

template <class Can, class Call>
std::optional<Counters> Backend::take_turn(const Can& can, const Call& call) {
  const std::lock_guard lock(mutex_);
  if (kept_ || !can()) return std::nullopt;
  if (failed_) throw Error(ErrorCode::cuda, "the device has failed before");
  try {
    return call();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::invalid_vector) failed_ = true;
    throw;
  } catch (...) {
    failed_ = true;
    throw;
  }
}

std::optional<Counters> Backend::search(const QuerySource& queries, const SearchParams& params,
                                        Key* out, std::uint32_t* counts) {
  const auto can = [&] { return searcher_.can_search(std::max(params.ef, params.k)); };
  return take_turn(can, [&] {
    searcher_.make_ready(queries.rows(), params.k);  // once after a change: no part of a batch
    return timed(router_, queries.rows(), std::max(params.ef, params.k),
                 [&] { return searcher_.search(queries, params, out, counts); });
  });
}

std::optional<Counters> Backend::search_there(const QuerySource& queries,
                                              const SearchParams& params,
                                              const DeviceResults& results) {
  bool has_labels = false;
  const auto can = [&] {
    return !graph_.copies().any() && searcher_.can_search(std::max(params.ef, params.k));
  };
  const std::optional<Counters> work = take_turn(can, [&] {
    searcher_.make_ready(queries.rows(), params.k);
    has_labels = searcher_.make_labels_ready();
    if (!has_labels) return Counters();
    return timed(router_, queries.rows(), std::max(params.ef, params.k),
                 [&] { return searcher_.search_there(queries, params, results); });
  });
  return has_labels ? work : std::nullopt;
}

template <class Can, class MakeBatch, class Answer>
std::optional<Counters> Backend::take_filtered_turn(std::uint32_t k, const Can& can,
                                                    const MakeBatch& make_batch,
                                                    const Answer& answer) {
  bool have_room = false;
  const auto knows_and_can = [&] { return knows_matches() && can(); };
  const std::optional<Counters> work = take_turn(knows_and_can, [&] {
    const FilteredBatch batch = make_batch();
    have_room = searcher_.make_filters_ready(batch, k);
    return have_room ? answer(batch) : Counters();
  });
  return have_room ? work : std::nullopt;
}

std::optional<Counters> Backend::filtered(MatrixView<const float> queries,
                                          const SearchParams& params,
                                          const core::QueryFilters& filters, Key* out,
                                          std::uint32_t* counts) {
  const std::uint32_t width = std::max(params.ef, params.k);
  const auto can = [&] { return searcher_.can_filter(width); };
  const auto make_batch = [&] {
    searcher_.make_ready(queries.rows, params.k);
    return searcher_.batch_of(queries.rows, params, filters);
  };
  return take_filtered_turn(params.k, can, make_batch, [&](const FilteredBatch& batch) {
    return timed(filtered_router_, queries.rows, width,
                 [&] { return searcher_.filtered(queries, params, filters, batch, out, counts); });
  });
}

std::optional<Counters> Backend::exact_filtered(MatrixView<const float> queries, std::uint32_t k,
                                                std::uint32_t matches,
                                                const core::QueryFilters& filters, Key* out,
                                                std::uint32_t* counts) {
  const auto can = [&] { return searcher_.can_scan_matches(k); };
  const auto make_batch = [&] {
    searcher_.make_scan_ready(queries.rows, k);
    return searcher_.exact_batch_of(queries.rows, filters);
  };
  return take_filtered_turn(k, can, make_batch, [&](const FilteredBatch& batch) {
    return timed(exact_router_, queries.rows, matches, [&] {
      return searcher_.filtered(queries, {.k = k}, filters, batch, out, counts);
    });
  });
}

template <class Search>
Counters Backend::timed(SearchRouter& router, std::size_t queries, std::uint32_t width,
                        const Search& search) {
  double seconds = 0;
  Counters work;
  {
    const core::Stopwatch watch(seconds);
    work = search();
  }
  router.note_device(queries, width, seconds);
  return work;
}

std::optional<Counters> Backend::exact(MatrixView<const float> queries, std::uint32_t k, Key* out,
                                       std::uint32_t* counts) {
  return take_turn([] { return true; }, [&] { return searcher_.exact(queries, k, out, counts); });
}

void Backend::note_cpu_search(std::size_t queries, std::uint32_t ef, double seconds) {
  if (!kept_) router_.note_cpu(queries, ef, seconds);
}

void Backend::note_cpu_filtered(std::size_t queries, std::uint32_t ef, double seconds) {
  if (!kept_) filtered_router_.note_cpu(queries, ef, seconds);
}

void Backend::note_cpu_exact_filtered(std::size_t queries, std::uint32_t matches, double seconds) {
  if (!kept_) exact_router_.note_cpu(queries, matches, seconds);
}

OpenedDevice open_backend(const DeviceSpec& spec, const RuntimeOptions& options,
                          const core::Contents& contents, core::ThreadPool& pool,
                          BuildStats& build) {
  OpenedDevice opened;
  FoundDevice found = find_device(spec.ordinal);
  opened.reason = found.reason;
  opened.was_there = found.device != nullptr;
  if (opened.was_there) {
    try {
      opened.backend = std::make_unique<Backend>(std::move(found.device), contents, pool,
                                                 options.device_memory_budget, build);
    } catch (const Error& error) {
      opened.reason += std::string(": ") + error.what();
    }
  }
  if (spec.required && !opened.backend) {
    throw Error(ErrorCode::unsupported, "device '" + options.device + "' cannot be used: " +
                                            opened.reason + "; 'auto' falls back to the CPU");
  }
  return opened;
}

}  // namespace concord::cuda
