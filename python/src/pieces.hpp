// Searches in pieces, between which signals are looked at: for the files that define searches.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>

#include "gil.hpp"
#include "index.hpp"
#include "row_reader.hpp"

namespace concord::python {

constexpr double kPieceSeconds = 0.03;  // of a search, between two looks at signals

/// Queries of the next piece of an exact search, by what the last one took: its speed depends on
/// the index's size and on the device.
class Pace {
 public:
  /// Fewer than `least` at a time would read the vectors too often.
  explicit Pace(std::size_t least) : least_(least), queries_(least) {}
  [[nodiscard]] std::size_t queries() const noexcept { return queries_; }
  void took(std::size_t queries, std::chrono::duration<double> time) noexcept {
    const double factor = std::clamp(kPieceSeconds / std::max(time.count(), 1e-6), 0.25, 4.0);
    queries_ = std::max(least_, static_cast<std::size_t>(factor * static_cast<double>(queries)));
  }

 private:
  const std::size_t least_;
  std::size_t queries_;
};

template <class Core>
template <class Use>
void PythonIndexOf<Core>::use_first(bool& was_used, const Use& use) const {
  if (was_used) return;
  {
    const WithoutGil released;
    use();
  }
  was_used = true;
}

/// Calls run(first, rows) for pieces of `queries`, of piece() each, one after the other. Returns
/// how many queries were run: all of them, or fewer if `progress` ended the work.
template <class Core>
template <class Piece, class Run>
std::size_t PythonIndexOf<Core>::in_pieces(const Array& queries, nanobind::handle progress,
                                           const Piece& piece, const Run& run) const {
  RowReader reader(queries);
  Watch watch{nanobind::borrow(progress)};
  std::size_t first = 0;
  {
    const WithoutGil released;
    bool go_on = true;
    do {
      const MatrixView<const float> rows = reader.read(first, piece());
      try {
        run(first, rows);
      } catch (const Error& error) {
        if (first == 0 || error.code() != ErrorCode::invalid_vector) throw;
        throw Error(error.code(),
                    "counted from query " + std::to_string(first) + ": " + error.what());
      }
      first += rows.rows;
      const bool reports = first < queries.rows() || !progress.is_none();
      go_on = !reports || watch.go_on(first, queries.rows());
    } while (first < queries.rows() && go_on);
  }
  watch.rethrow();
  return first;
}

}  // namespace concord::python
