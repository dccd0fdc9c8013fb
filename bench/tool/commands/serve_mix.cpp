// concord-bench serve-mix: searches and additions at once, each relative to its speed alone.
//
// Half of the vectors are added before any clock runs. The others come in rounds of three slices:
// one is added alone, one while the readers search another index, one while they search this index.
// Between the first and the second slice the readers search alone. So all three see an index of
// nearly the same size and a machine in nearly the same state. The second slice relative to the
// first is the loss to busy cores, caches and memory; the third relative to the second is the loss
// to sharing the index.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <thread>

#include "bench/tool/command_line.hpp"
#include "bench/tool/commands/commands.hpp"
#include "bench/tool/commands/steps.hpp"
#include "bench/tool/table.hpp"

namespace concord::bench {
namespace {

constexpr std::size_t kSlices = 3;  ///< in a round

struct ServeMix {
  unsigned readers = 1;
  unsigned rounds = 6;
  std::uint32_t ef = 64;
};

/// Threads that search one query after another until they are stopped.
class Readers {
 public:
  Readers(const Index& index, const FloatMatrix& queries, const Options& options,
          const ServeMix& mix)
      : latencies_(mix.readers) {
    for (unsigned r = 0; r < mix.readers; ++r) {
      threads_.emplace_back([&, r] {
        const SearchParams params{options.k, mix.ef};
        for (std::size_t q = r; !stopped_; q += mix.readers) {
          const Clock::time_point start = Clock::now();
          const SearchResult result =
              index.search({queries.row(q % queries.rows), 1, queries.cols}, params);
          latencies_[r].push_back(seconds_since(start));
          found_ += result.counts[0];
        }
      });
    }
  }
  ~Readers() { stop(); }
  Readers(const Readers&) = delete;
  Readers& operator=(const Readers&) = delete;

  /// Seconds of each search, sorted.
  std::vector<double> stop() {
    stopped_ = true;
    std::vector<double> all;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    for (const auto& some : latencies_) all.insert(all.end(), some.begin(), some.end());
    std::sort(all.begin(), all.end());
    return all;
  }

 private:
  std::atomic<bool> stopped_{false};
  std::atomic<std::uint64_t> found_{0};
  std::vector<std::vector<double>> latencies_;
  std::vector<std::thread> threads_;
};

/// Vectors a second of adding rows [first, last).
double add_slice(Index& index, const FloatMatrix& vectors, std::size_t first, std::size_t last) {
  const Clock::time_point start = Clock::now();
  index.add({vectors.row(first), last - first, vectors.cols});
  return static_cast<double>(last - first) / seconds_since(start);
}

struct Outcome {
  std::vector<double> idle, beside;  ///< seconds of searches
  std::vector<double> p99_ratios, lone_rates, mixed_rates;
  std::vector<double> rate_ratios;     ///< beside readers of this index, to alone
  std::vector<double> apart_ratios;    ///< beside readers of another index, to alone
  std::vector<double> sharing_ratios;  ///< beside readers of this index, to those of another
};

/// `other` is an index of the same first vectors that does not change.
Outcome measure(Index& index, const Index& other, const DataSet& data, const Options& options,
                const ServeMix& mix) {
  Outcome outcome;
  const std::size_t base = index.size();
  const std::size_t slices = kSlices * std::size_t{mix.rounds};
  const auto begin_of = [&](std::size_t slice) {
    return base + (data.train.rows - base) * slice / slices;
  };
  for (std::size_t s = 0; s < slices; s += kSlices) {
    const double lone = add_slice(index, data.train, begin_of(s), begin_of(s + 1));
    std::vector<double> idle;
    {
      Readers readers(index, data.queries, options, mix);
      const double slice_seconds = static_cast<double>(begin_of(s + 2) - begin_of(s + 1)) / lone;
      std::this_thread::sleep_for(std::chrono::duration<double>(slice_seconds));
      idle = readers.stop();
    }
    double apart = 0;
    {
      const Readers readers(other, data.queries, options, mix);
      apart = add_slice(index, data.train, begin_of(s + 1), begin_of(s + 2));
    }
    Readers readers(index, data.queries, options, mix);
    const double mixed = add_slice(index, data.train, begin_of(s + 2), begin_of(s + 3));
    std::vector<double> beside = readers.stop();
    outcome.lone_rates.push_back(lone);
    outcome.mixed_rates.push_back(mixed);
    outcome.rate_ratios.push_back(mixed / lone);
    outcome.apart_ratios.push_back(apart / lone);
    outcome.sharing_ratios.push_back(mixed / apart);
    outcome.p99_ratios.push_back(quantile(beside, 0.99) / quantile(idle, 0.99));
    outcome.idle.insert(outcome.idle.end(), idle.begin(), idle.end());
    outcome.beside.insert(outcome.beside.end(), beside.begin(), beside.end());
  }
  return outcome;
}

Json latencies_json(std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  return {{"searches", seconds.size()},
          {"p50_seconds", quantile(seconds, 0.5)},
          {"p99_seconds", quantile(seconds, 0.99)},
          {"p999_seconds", quantile(seconds, 0.999)}};
}

int serve_mix(Options& options, const ServeMix& mix) {
  options.apply();
  const DataSet data = load_data_set(options.data, Need::train_and_queries);
  const std::size_t base = data.train.rows / 2;
  const std::size_t least = 2 * kSlices * std::size_t{mix.rounds};
  if (data.train.rows - base < least) {
    throw InputError("serve-mix needs at least " + std::to_string(2 * least) + " vectors");
  }
  print_data(data);
  Index index(options.params_for(data), options.runtime);
  Index other(options.params_for(data), options.runtime);
  for (Index* each : {&index, &other}) each->add({data.train.row(0), base, data.train.cols});

  Outcome outcome = measure(index, other, data, options, mix);
  const AuditReport audit = index.audit();
  Json document = new_document(options.command_line, index.stats());
  document["parameters"] = parameters_json(index.params());
  document["data"] = data_json(data, index.size());
  document["index"] = {{"digest", index.digest()}, {"size", index.size()}};
  document["audit"] = audit_json(audit);
  document["serve_mix"] = {{"readers", mix.readers},
                           {"writer_threads", options.runtime.threads},
                           {"ef", mix.ef},
                           {"k", options.k},
                           {"rounds", mix.rounds},
                           {"idle", latencies_json(outcome.idle)},
                           {"beside_writer", latencies_json(outcome.beside)},
                           {"p99_ratio", median(outcome.p99_ratios)},
                           {"lone_vectors_per_second", median(outcome.lone_rates)},
                           {"mixed_vectors_per_second", median(outcome.mixed_rates)},
                           {"rate_ratio", median(outcome.rate_ratios)},
                           {"apart_ratio", median(outcome.apart_ratios)},
                           {"sharing_ratio", median(outcome.sharing_ratios)},
                           {"p99_ratios", outcome.p99_ratios},
                           {"rate_ratios", outcome.rate_ratios},
                           {"apart_ratios", outcome.apart_ratios},
                           {"sharing_ratios", outcome.sharing_ratios}};
  const Json& figures = document["serve_mix"];
  const auto micro = [&](const char* phase, const char* figure) {
    return figures[phase][figure].get<double>() * 1e6;
  };
  std::printf("searches of one query, %u readers, ef %u:\n", mix.readers, mix.ef);
  std::printf("  alone              p50 %8.0f us   p99 %8.0f us\n", micro("idle", "p50_seconds"),
              micro("idle", "p99_seconds"));
  std::printf("  beside the writer  p50 %8.0f us   p99 %8.0f us   p99 ratio %.2f\n",
              micro("beside_writer", "p50_seconds"), micro("beside_writer", "p99_seconds"),
              figures["p99_ratio"].get<double>());
  std::printf("additions: alone %.0f vectors/s, beside the readers %.0f, ratio %.2f\n",
              figures["lone_vectors_per_second"].get<double>(),
              figures["mixed_vectors_per_second"].get<double>(),
              figures["rate_ratio"].get<double>());
  std::printf(
      "  beside readers of another index, ratio %.2f; this index relative to another, %.2f\n",
      figures["apart_ratio"].get<double>(), figures["sharing_ratio"].get<double>());
  print_audit(audit);
  write_document(document, options.json);
  return audit.ok ? 0 : 1;
}

}  // namespace

void add_serve_mix_command(CLI::App& app, Options& options, Command& chosen) {
  CLI::App& command = *app.add_subcommand(
      "serve-mix",
      "search while vectors are added: latency and insertion rate, relative to each alone");
  add_data_options(command, options);
  add_param_options(command, options);
  add_runtime_options(command, options);
  command.add_option("--k", options.k, "neighbors per query")->check(CLI::Range(1, 1000));
  const auto mix = std::make_shared<ServeMix>();
  command.add_option("--readers", mix->readers, "threads that search, one query per call")
      ->check(CLI::Range(1, 1024));
  command.add_option("--rounds", mix->rounds, "rounds of measurement")->check(CLI::Range(1, 1000));
  command.add_option("--ef", mix->ef, "ef of the searches")->check(CLI::Range(1, 65536));
  add_json_option(command, options);
  add_examples(
      command,
      {"serve-mix --dataset sift-128-euclidean.hdf5 --limit 60000 --threads 1 --readers 1"});
  command.callback(
      [&options, &chosen, mix] { chosen = [&options, mix] { return serve_mix(options, *mix); }; });
}

}  // namespace concord::bench
