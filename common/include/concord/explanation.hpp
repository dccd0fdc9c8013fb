// concord::Explanation: why a vector is or is not among the results of a query, as Index::explain
// tells it. A plain value.
#pragma once

#include <concord/export.hpp>
#include <cstdint>
#include <limits>
#include <string>

namespace concord {

struct CONCORD_API Explanation {
  enum class Reason {
    returned,  ///< every search with this k returns it
    farther,   ///< k or more vectors are nearer
    descent,   ///< a larger ef finds it; if the descent had ended at the nearest vector, any would
    links,     ///< a larger ef finds it: layer 0 leads to it through farther candidates alone
    filter,    ///< the filter does not let it match
    removed,   ///< it was removed or replaced, and the graph still walks through it
  };

  std::uint64_t label = 0;
  std::uint32_t k = 0;
  Reason reason = Reason::returned;
  float distance = 0;       ///< to the query, as the metric defines it
  std::uint64_t rank = 0;   ///< one more than the vectors that match and come before it
  std::uint32_t level = 0;  ///< the highest layer that it is in
  /// The least ef whose search returns it, 1 if every search does. All greater ones do as well. 0
  /// if none up to 65,536 does, and for the reasons farther, filter and removed.
  std::uint32_t ef = 0;
  /// With an ef of 65,536 the least slack whose search returns it. Infinity if none does, and for
  /// inner product and searches with a filter.
  float slack = std::numeric_limits<float>::infinity();
  /// The walk in layer 0 meets it at hop number `hop`, in the list of the vector `parent`, which
  /// may have been removed. Without such a list they are 0 and kNoLabel: the walk begins with it or
  /// does not come there, or the matches of a filter are scanned.
  std::uint64_t hop = 0;
  std::uint64_t parent = ~std::uint64_t{0};

  /// The same as a few sentences.
  [[nodiscard]] std::string text() const;
};

/// The reason's name in Explanation::Reason.
CONCORD_API const char* to_string(Explanation::Reason reason) noexcept;

}  // namespace concord
