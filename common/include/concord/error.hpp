// The one exception type of the library.
//
// A function that refuses its input throws concord::Error before it changes anything. The message
// says what was wrong and what is allowed. The code lets a caller branch without reading text.
#pragma once

#include <concord/export.hpp>
#include <stdexcept>
#include <string>

namespace concord {

enum class ErrorCode {
  invalid_parameter,   ///< a parameter is outside its documented range
  dimension_mismatch,  ///< the shape of a matrix does not fit the index or its companion arrays
  invalid_vector,      ///< NaN, infinity, or a norm whose distances would overflow float
  duplicate_label,     ///< a label is in the index already, or occurs twice in the call
  unknown_label,       ///< no vector has this label
  capacity,            ///< more vectors than ids (2,147,483,646)
  out_of_memory,       ///< the system refused memory; the function says what it leaves behind
  io,                  ///< a file operation failed: path, permission, space, lock
  corrupt_file,        ///< the file is not a Concord index, is damaged, or has a newer version
  unsupported,         ///< this machine, build, index or file format cannot do what was asked
  cuda,                ///< a CUDA call failed
  unknown_preset,      ///< no preset reaches the recall, or the index has changed too much since
};

/// The code's name in ErrorCode, for logs.
CONCORD_API const char* to_string(ErrorCode code) noexcept;

class CONCORD_API Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message);
  /// `system_error` is the errno of the call that failed.
  Error(ErrorCode code, const std::string& message, int system_error);
  ~Error() override;
  Error(const Error&) = default;
  Error& operator=(const Error&) = default;

  [[nodiscard]] ErrorCode code() const noexcept { return code_; }
  /// For ErrorCode::io the errno of the system call that failed, for example ENOENT; 0 if no call
  /// did.
  [[nodiscard]] int system_error() const noexcept { return system_error_; }

 private:
  ErrorCode code_;
  int system_error_ = 0;
};

}  // namespace concord
