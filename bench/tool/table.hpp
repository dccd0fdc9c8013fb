// Aligned tables and readable numbers for the screen.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace concord::bench {

/// 1234567 → "1,234,567".
std::string grouped(std::uint64_t value);
/// The whole part, grouped.
std::string whole(double value);
/// With `digits` after the point.
std::string fixed(double value, int digits);
/// "512.0 MiB".
std::string mebibytes(std::uint64_t bytes);

/// Columns as wide as their widest cell; all but the first column right-aligned.
class Table {
 public:
  explicit Table(std::vector<std::string> header);
  void add_row(std::vector<std::string> cells);
  [[nodiscard]] std::string text() const;
  /// To stdout.
  void print() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace concord::bench
