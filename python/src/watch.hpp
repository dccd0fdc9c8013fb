// What long work asks now and then: has Ctrl-C been pressed, does the caller's callable want to
// stop?
//
// The work runs without the GIL; a Watch takes it for the moment of the question. What Python
// raises then is kept, the work is told to stop, and rethrow() lets it out once the library has
// returned. Thread-safety: for the thread that made the call; only Python's main thread sees
// signals.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <cstdint>
#include <exception>

namespace concord::python {

class Watch {
 public:
  /// `progress` is None or a callable (done, total); False, also numpy's, means stop.
  explicit Watch(nanobind::object progress) : progress_(std::move(progress)) {}

  /// False if the work is to stop; for a thread without the GIL.
  bool go_on(std::uint64_t done, std::uint64_t total) noexcept;
  /// The same where there is nothing to report.
  bool go_on() noexcept;
  /// The callable takes bytes instead; false if it raised. For a thread without the GIL.
  bool take(const void* data, std::size_t bytes) noexcept;
  /// Raises what stopped the work, if it was an exception; for a thread with the GIL.
  void rethrow() const {
    if (raised_) std::rethrow_exception(raised_);
  }

 private:
  template <class Ask>
  bool ask(const Ask& ask) noexcept;

  nanobind::object progress_;
  std::exception_ptr raised_;
};

}  // namespace concord::python
