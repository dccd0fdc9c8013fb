// Presets: parameters of searches that reach a recall, as Index::tune finds them.
//
// A preset changes questions, never the graph, its file or its digest. docs/tuning.md shows its use
// and says how far it can be trusted. All types are plain values.
#pragma once

#include <concord/export.hpp>
#include <concord/params.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace concord {

/// What Index::tune is to reach.
struct TuneParams {
  double recall = 0.99;         ///< above 0, below 1: the mean recall@k of queries
  std::uint32_t k = 10;         ///< 1 … 65,536
  std::uint32_t sample = 4000;  ///< at least 1: vectors taken as queries, where none are given
};

/// The cheapest search that was found to reach a recall, and what is known of it.
struct Preset {
  double recall = 0;             ///< the goal, and with k the preset's name
  std::uint32_t k = 10;          ///< as the search must have it
  std::uint32_t ef = 0;          ///< of the search
  float slack = 0;               ///< of the search; infinity where ef alone decides
  double measured = 0;           ///< mean recall of the sample
  double at_least = 0;           ///< lower bound of the mean recall, with a confidence of 95 %
  double distances = 0;          ///< computed for a query of the sample, on average
  std::uint64_t queries = 0;     ///< of the sample; 0 where ef covers the whole index
  std::uint64_t size = 0;        ///< vectors of the index at the time of tuning
  std::uint64_t insertions = 0;  ///< ever, by then (Stats)
  std::uint64_t removals = 0;    ///< ever, by then (Stats)

  /// Without the codes of an index that has them, because exact distances were measured.
  [[nodiscard]] SearchParams params() const noexcept {
    return {.k = k, .ef = ef, .slack = slack, .use_codes = false};
  }
  bool operator==(const Preset&) const = default;
};

/// Receives how much of the work is done, on the thread that called Index::tune. It may throw: the
/// exception ends the call.
using TuneProgress = std::function<void(std::size_t done, std::size_t total)>;

}  // namespace concord
