#include "cuda/backend.hpp"

#include <algorithm>
#include <charconv>

#include "common/stopwatch.hpp"

namespace concord::cuda {
namespace {

DeviceSource& device_source() {
  static DeviceSource source;
  return source;
}

}  // namespace

DeviceSpec DeviceSpec::parse(const std::string& text) {
  if (text == "auto") return {true, false, -1};
  if (text == "cpu") return {false, false, -1};
  if (text == "cuda") return {true, true, -1};
  int ordinal = 0;
  const char* const end = text.data() + text.size();
  if (text.starts_with("cuda:")) {
    const auto [stop, error] = std::from_chars(text.data() + 5, end, ordinal);
    if (error == std::errc{} && stop == end && ordinal >= 0) return {true, true, ordinal};
  }
  throw Error(ErrorCode::invalid_parameter,
              "device '" + text + "' is unknown; allowed are auto, cpu, cuda and cuda:K");
}

void set_device_source_for_tests(DeviceSource source) { device_source() = std::move(source); }

FoundDevice find_device(int ordinal) {
  return device_source() ? device_source()(ordinal) : find_cuda_device(ordinal);
}

Backend::Backend(std::unique_ptr<Device> device, const core::Graph& graph,
                 const core::VectorStore& vectors, core::ThreadPool& pool, std::size_t budget,
                 BuildStats& build)
    : device_((device->set_limit(budget), std::move(device))),
      mirror_(*device_, graph, vectors, pool, stats_),
      proposer_(*device_, mirror_, graph, stats_, build),
      searcher_(*device_, mirror_, graph, vectors, pool, stats_) {
  stats_.name = device_->name();
}

// First told, then waited for: those who wait for the mutex already do not search any more.
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

template <class Call>
std::optional<Counters> Backend::take_turn(const Call& call) {
  const std::lock_guard lock(mutex_);
  if (kept_) return std::nullopt;
  if (failed_) throw Error(ErrorCode::cuda, "the device has failed before");
  failed_ = true;  // unless the call ends well
  try {
    const Counters counters = call();
    failed_ = false;
    return counters;
  } catch (const Error& error) {
    failed_ = error.code() != ErrorCode::invalid_vector;
    throw;
  }
}

template <class Call>
std::optional<Counters> Backend::timed_search(std::size_t queries, const SearchParams& params,
                                              const Call& call) {
  double seconds = 0;
  const std::optional<Counters> counters = take_turn([&] {
    searcher_.make_ready(queries, params.k);  // once after a change: no part of what a batch costs
    const core::Stopwatch watch(seconds);
    return call();
  });
  if (counters) router_.note_device(queries, std::max(params.ef, params.k), seconds);
  return counters;
}

std::optional<Counters> Backend::search(MatrixView<const float> queries, const SearchParams& params,
                                        Key* out, std::uint32_t* counts) {
  return timed_search(queries.rows, params,
                      [&] { return searcher_.search(queries, params, out, counts); });
}

std::optional<Counters> Backend::search(DeviceMatrixView<const float> queries, Stream stream,
                                        const SearchParams& params, Key* out,
                                        std::uint32_t* counts) {
  return timed_search(queries.rows, params,
                      [&] { return searcher_.search(queries, stream, params, out, counts); });
}

std::optional<Counters> Backend::exact(MatrixView<const float> queries, std::uint32_t k, Key* out,
                                       std::uint32_t* counts) {
  return take_turn([&] { return searcher_.exact(queries, k, out, counts); });
}

void Backend::note_cpu_search(std::size_t queries, std::uint32_t ef, double seconds) {
  if (!kept_) router_.note_cpu(queries, ef, seconds);
}

OpenedDevice open_backend(const DeviceSpec& spec, const RuntimeOptions& options,
                          const core::Graph& graph, const core::VectorStore& vectors,
                          core::ThreadPool& pool, BuildStats& build) {
  OpenedDevice opened;
  FoundDevice found = find_device(spec.ordinal);
  opened.reason = found.reason;
  opened.was_there = found.device != nullptr;
  if (opened.was_there) {
    try {
      opened.backend = std::make_unique<Backend>(std::move(found.device), graph, vectors, pool,
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
