// Resident memory of this process, and the peak of one step of it.
#pragma once

#include <concord/params.hpp>
#include <cstdint>

namespace concord::bench {

/// Bytes resident now (VmRSS); 0 if /proc is missing.
std::uint64_t resident_bytes();

/// Measures the peak while it lives. The constructor returns freed memory to the system, because
/// reused memory would hide growth, and resets the kernel's high-water mark
/// (/proc/self/clear_refs). If the mark cannot be reset, peak() is the process's peak so far.
class MemoryProbe {
 public:
  MemoryProbe();
  /// Bytes resident at construction.
  [[nodiscard]] std::uint64_t before() const noexcept { return before_; }
  [[nodiscard]] bool exact() const noexcept { return reset_; }
  /// Highest resident size since construction.
  [[nodiscard]] std::uint64_t peak() const;

 private:
  std::uint64_t before_;
  bool reset_;
};

/// Highest resident size since the process began, whatever probes reset.
std::uint64_t peak_resident_bytes();

/// Bytes that hnswlib spends beside the vectors on each of its elements, on average: the list of
/// layer 0 (count and 2M links), the label, the pointer to the upper lists, the level, and the
/// upper lists themselves (a share 1/(M-1) of the elements has one, of M links and a count). Its
/// locks and its hash table of labels, 80 bytes more, are left out, which makes the limit stricter.
double hnswlib_overhead_bytes(std::uint32_t M);

/// Memory that an add of `rows` vectors may take at its peak:
/// 1.15 × (vectors + codes + hnswlib's overhead) + 64 MiB.
std::uint64_t allowed_add_bytes(std::uint64_t rows, const IndexParams& params);

}  // namespace concord::bench
