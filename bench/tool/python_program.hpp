// The parts of concord-bench that are in Python: the report and the reader of tables. They are
// beside the executable (in a build, as links) or in ../share/concord-bench (installed).
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

namespace concord::bench {

/// The path of a program, "page" or "read_table.py". Throws InputError if it is missing.
std::filesystem::path python_program(const std::string& name);

/// python3 running beside this process, which reads what it writes.
class PythonOutput {
 public:
  /// Throws InputError if python3 cannot be started.
  explicit PythonOutput(const std::vector<std::string>& arguments);
  ~PythonOutput();  ///< ends the reading, and waits for the process to see that
  PythonOutput(const PythonOutput&) = delete;
  PythonOutput& operator=(const PythonOutput&) = delete;

  [[nodiscard]] std::FILE* stream() const noexcept { return stream_; }

 private:
  std::FILE* stream_ = nullptr;
  pid_t process_ = 0;
};

}  // namespace concord::bench
