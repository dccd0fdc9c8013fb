// The one exception type of the library.
//
// Every function that refuses its input throws concord::Error; the message says what was wrong and
// what is allowed, the code lets a caller branch without reading text, and the index is left as it
// was before the call.
#pragma once

#include <concord/export.hpp>
#include <stdexcept>
#include <string>

namespace concord {

enum class ErrorCode {
  invalid_parameter,   ///< a parameter is outside its documented range
  dimension_mismatch,  ///< a matrix has another shape than the index or its companion arrays
  invalid_vector,      ///< NaN, infinity, or a norm whose distances would overflow float
  duplicate_label,     ///< a label is already in the index or twice in the call
  unknown_label,       ///< no vector has this label
  capacity,            ///< more vectors than the index can number
  out_of_memory,       ///< the system refused memory; nothing was changed
  io,                  ///< the file system refused: path, permission, space
  corrupt_file,        ///< the file is no Concord index, is damaged, or is of a newer version
  unsupported,         ///< this machine, build or file format lacks what was asked for
  cuda,                ///< a CUDA call failed
};

/// Name of a code as it stands in ErrorCode, for logs.
CONCORD_API const char* to_string(ErrorCode code) noexcept;

class CONCORD_API Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message);
  ~Error() override;
  Error(const Error&) = default;
  Error& operator=(const Error&) = default;

  [[nodiscard]] ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace concord
